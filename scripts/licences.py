"""Judges the licences of all that Copperline depends on, and writes docs/licences.md.

Run it after a change of dependencies, with a network: `python scripts/licences.py`. It asks pip to resolve the base
install and every extra against PyPI, without installing. The judgement is `copperline.licences`;
tests/project/test_licences.py uses it offline, on what is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from copperline.licences import PROJECT, Licence, closure, objection, stated

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "licences.md"


def direct_dependencies() -> dict[str, list[str]]:
    """`base` and each extra of pyproject.toml -> its requirements, as written."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"base": project["dependencies"], **project["optional-dependencies"]}


@dataclass(frozen=True)
class Row:
    """One line of docs/licences.md."""

    name: str
    version: str
    licence: str
    needed_by: tuple[str, ...]


def read_table() -> dict[str, Row]:
    """Canonical name -> row of docs/licences.md."""
    rows: dict[str, Row] = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and cells[0] != "Distribution" and not set(cells[0]) <= {"-"}:
            rows[canonicalize_name(cells[0])] = Row(cells[0], cells[1], cells[2], tuple(cells[3].split(", ")))
    return rows


def resolve() -> dict[str, dict[str, object]]:
    """Canonical name -> core metadata of everything that pip would install from PyPI for all extras."""
    extras = ",".join(name for name in direct_dependencies() if name != "base")
    # Only PyPI: what a user gets, not this machine's own builds.
    own = ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL")
    environment = {k: v for k, v in os.environ.items() if k not in own} | {"PIP_CONFIG_FILE": os.devnull}
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        report = Path(folder) / "report.json"
        pip = [str(Path(folder) / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        # An older pip leaves License-Expression out of its report.
        subprocess.run([*pip, "--upgrade", "pip"], check=True, env=environment)
        subprocess.run(
            [*pip, "--dry-run", "--ignore-installed", "--report", str(report), f"{ROOT}[{extras}]"],
            check=True,
            env=environment,
        )
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    metadata: dict[str, dict[str, object]] = {
        canonicalize_name(item["metadata"]["name"]): item["metadata"] for item in installed
    }
    del metadata[canonicalize_name(PROJECT)]
    return metadata


def licence_of(metadata: Mapping[str, object]) -> Licence:
    """From metadata in the JSON form that pip reports."""
    classifiers = metadata.get("classifier") or []
    assert isinstance(classifiers, list)
    return Licence(
        expression=str(metadata.get("license_expression") or ""),
        text=str(metadata.get("license") or ""),
        classifiers=tuple(c for c in classifiers if c.startswith("License ::")),
    )


def main() -> int:
    """Writes the table; exit status 1, and no table, if a licence is refused."""
    metadata = resolve()
    licences = {name: licence_of(m) for name, m in metadata.items()}
    objections = [o for name, licence in sorted(licences.items()) if (o := objection(name, licence))]
    if objections:
        sys.stderr.write("\n".join(objections) + "\n")
        return 1

    def requires(name: str) -> list[str] | None:
        found = metadata.get(name)
        needs = found and found.get("requires_dist", [])
        return [str(need) for need in needs] if isinstance(needs, list) else None

    needed = {extra: closure(wanted, requires) for extra, wanted in direct_dependencies().items()}
    rows = [
        f"| {m['name']} | {m['version']} | {stated(name, licences[name]).replace('|', '/')} "
        f"| {', '.join(extra for extra, names in needed.items() if name in names)} |"
        for name, m in sorted(metadata.items())
    ]
    TABLE.write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return 0


HEADER = """\
# Licences of the dependencies

Every distribution that Copperline brings in, with the licence that its metadata states: the base install and each
extra, resolved against PyPI on Linux for Python 3.11. None is under the AGPL or the GPL, and `make test` fails if one
comes in. The `nvidia-*` and `cuda-*` packages come only with PyPI's CUDA build of torch, never with the base install.

Written by `python scripts/licences.py`; run it again when a dependency changes.

| Distribution | Version | Licence | Needed by |
| --- | --- | --- | --- |
"""

if __name__ == "__main__":
    sys.exit(main())
