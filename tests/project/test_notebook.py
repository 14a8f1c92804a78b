"""The notebook: text and code are one, it is shipped as it was run, and it runs."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from copperline.registry import Registry
from copperline.settings import Settings

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
pytest.importorskip("jupytext", reason="jupytext is not installed")
pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "build_notebook.py"
SHIPPED = ROOT / "notebooks" / "pcb_defect_detection.ipynb"
# Cells that end with a statement, and print nothing.
SILENT = ("from copperline.workflows import notebook", "DATA = None")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_notebook", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_ipynb_has_the_cells_of_the_py(script: ModuleType) -> None:
    of_py, shipped = script.read_cells(), nbformat.read(SHIPPED, as_version=4)
    nbformat.validate(shipped)
    told = "run python scripts/build_notebook.py"
    assert [(c.cell_type, c.source) for c in shipped.cells] == [(c.cell_type, c.source) for c in of_py.cells], told
    assert [c.id for c in shipped.cells] == [c.id for c in of_py.cells]
    parameters = [c for c in shipped.cells if "parameters" in c.metadata.get("tags", [])]
    assert [c.source.split(" ")[0] for c in parameters] == ["DATA"]


def test_it_is_shipped_with_the_outputs_of_one_run(script: ModuleType) -> None:
    shipped = nbformat.read(SHIPPED, as_version=4)
    code = [cell for cell in shipped.cells if cell.cell_type == "code"]
    assert script.faults(shipped) == []
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert [c.source for c in code if not c.outputs and not any(words in c.source for words in SILENT)] == []
    assert SHIPPED.stat().st_size < script.LARGEST


def test_outputs_are_pictures_with_words_and_text_without_paths(script: ModuleType) -> None:
    shipped = nbformat.read(SHIPPED, as_version=4)
    pictures = 0
    for cell in shipped.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {"text/plain": output.get("text", "")})
            assert set(data) <= {"image/png", "text/plain", "text/html"}
            if "image/png" in data:
                pictures += 1
                assert len(output.metadata["image/png"]["alt"]) > 20
            for kind in ("text/plain", "text/html"):
                words = data.get(kind, "").replace("</", "<")
                assert not [word for word in words.split() if word.startswith(("/", "C:\\")) and word != "/"]
    assert pictures >= 9
    for picture, after in zip(shipped.cells, shipped.cells[1:], strict=False):
        if any("image/png" in output.get("data", {}) for output in picture.get("outputs", [])):
            assert after.cell_type == "markdown" and after.source.startswith("*"), f"no caption after {picture.id}"


def test_it_says_that_its_outputs_are_of_drawn_boards() -> None:
    """Pictures of DeepPCB's boards stay out of the repository."""
    shipped = nbformat.read(SHIPPED, as_version=4)
    assert "synthetic boards that the product drew" in shipped.cells[0].source
    told = [o.text for cell in shipped.cells for o in cell.get("outputs", []) if o.output_type == "stream"]
    assert any("synthetic boards, drawn here" in text for text in told)


def test_it_runs_in_a_fresh_kernel_and_leaves_what_it_says(script: ModuleType, tmp_path: Path) -> None:
    notebook = script.read_cells()
    here = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    short = {"COPPERLINE_NOTEBOOK_BOARDS": "8", "COPPERLINE_NOTEBOOK_EPOCHS": "1"}
    script.execute(notebook, tmp_path, {**here, **short, "COPPERLINE_THREADS": "1", "OMP_NUM_THREADS": "1"})
    assert script.faults(notebook) == []  # nor anything on stderr, such as a warning
    pictures = [o for c in notebook.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(pictures) == len(
        [c for c in notebook.cells if "Picture.of_figure(" in c.source or "samples(" in c.source]
    )

    workspace = tmp_path / "copperline-workspace"
    version = Registry(Settings(workspace=workspace)).get("champion")
    assert version.version == 1
    assert set(version.read_card().metrics) >= {"by split"}
    with closing(sqlite3.connect(workspace / "warehouse.db")) as database:
        counts = "SELECT COUNT(*), COUNT(DISTINCT board_id) FROM inspections WHERE station_id = 'notebook'"
        assert database.execute(counts).fetchone() == (1, 1)
        (made_up,) = database.execute("SELECT COUNT(*) FROM pcb_metadata WHERE source = 'simulated'").fetchone()
        assert made_up == 1
        assert database.execute("SELECT COUNT(*) FROM pcb_labeled_data").fetchone() == (8,)
    assert (workspace / "reports" / "pcb-detector-1" / "report.html").is_file()
    assert len(list((workspace / "datasets" / "notebook-synthetic-yolo" / "labels").rglob("*.txt"))) == 8
