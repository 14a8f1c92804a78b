"""Executes notebooks/pcb_defect_detection.py into the .ipynb beside it: `python scripts/build_notebook.py`.

The cells are written in the .py (jupytext's percent format); the .ipynb is made from it, with outputs of synthetic
boards, since images of DeepPCB stay out of the repository. It runs in a folder of its own, and what is of this machine
or moment is taken out: paths, times, the kernel's version. `--cells` only carries over changed cells, without running.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SOURCE = NOTEBOOKS / "pcb_defect_detection.py"
TARGET = SOURCE.with_suffix(".ipynb")
LARGEST = 2 * 1024 * 1024  # bytes
_LIMIT_S = 1800  # for one cell


def read_cells() -> NotebookNode:
    """The notebook without outputs, as the .py says it; ids of cells follow from their place, so that they stay."""
    notebook = jupytext.read(SOURCE)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata.pop("lines_to_next_cell", None)
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def execute(notebook: NotebookNode, folder: Path, environment: dict[str, str]) -> None:
    """Runs all cells in a fresh kernel, with `folder` as the current one; raises CellExecutionError if one fails."""
    client = NotebookClient(
        notebook,
        timeout=_LIMIT_S,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, **environment})


def clean(notebook: NotebookNode, folder: Path) -> None:
    """Takes out what is of this machine or moment."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = output.text.replace(f"{folder}{os.sep}", "").replace(str(folder), ".")
            for kind, content in output.get("data", {}).items():
                if kind.startswith("text/"):
                    output.data[kind] = content.replace(f"{folder}{os.sep}", "").replace(str(folder), ".")
    notebook.metadata["language_info"] = {"name": "python"}


def faults(notebook: NotebookNode) -> list[str]:
    """Why the notebook cannot be shipped: errors, noise on stderr, cells that did not run."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        if cell.execution_count is None:
            found.append(f"{cell.id} did not run")
        bad = [o for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"]
        found += [f"{cell.id}: {output.get('evalue') or output.get('text')}" for output in bad]
    return found


def carry_over(notebook: NotebookNode) -> None:
    """Takes the outputs of the shipped notebook for all cells, which must be as many code cells as before."""
    shipped = nbformat.read(TARGET, as_version=4)
    old = [cell for cell in shipped.cells if cell.cell_type == "code"]
    new = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.source for cell in old] != [cell.source for cell in new]:
        raise SystemExit("code has changed: run without --cells")
    for cell, before in zip(new, old, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", action="store_true", help="carry over changed text, keep the outputs")
    arguments = parser.parse_args()
    notebook = read_cells()
    if arguments.cells:
        carry_over(notebook)
    else:
        with tempfile.TemporaryDirectory(prefix="copperline-notebook-") as name:
            folder = Path(name).resolve()
            execute(notebook, folder, {"COPPERLINE_THREADS": "1", "OMP_NUM_THREADS": "1"})
            clean(notebook, folder)
    if faults(notebook):
        raise SystemExit("\n".join(faults(notebook)))
    text = nbformat.writes(notebook) + "\n"
    if len(text) > LARGEST:
        raise SystemExit(f"expected at most {LARGEST:,} bytes, found {len(text):,}")
    TARGET.write_text(text, encoding="utf-8")
    print(f"{TARGET.relative_to(Path.cwd()) if TARGET.is_relative_to(Path.cwd()) else TARGET}: {len(text):,} bytes")


if __name__ == "__main__":
    main()
