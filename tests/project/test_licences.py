"""No dependency, direct or indirect, of the base install or any extra is under the AGPL or the GPL."""

from __future__ import annotations

import importlib.util
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from copperline import licences

ROOT = Path(__file__).resolve().parents[2]


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


script = _load(ROOT / "scripts" / "licences.py")
DIRECT = script.direct_dependencies()


@pytest.mark.parametrize("extra", DIRECT)
def test_installed_closure_is_permissive(extra: str) -> None:
    names = licences.closure(DIRECT[extra], licences.installed_requirements)
    if not names:
        pytest.skip(f"nothing of the extra {extra!r} is installed; the table judges it")
    assert [o for name in sorted(names) if (o := licences.objection(name, licences.installed_licence(name)))] == []


def test_table_covers_every_direct_dependency() -> None:
    table = script.read_table()
    wanted = {(extra, canonicalize_name(Requirement(text).name)) for extra, texts in DIRECT.items() for text in texts}
    covered = {(extra, name) for name, row in table.items() for extra in row.needed_by}
    assert sorted(wanted - covered) == [], "run `python scripts/licences.py`"
    assert {extra for extra, _ in covered} == set(DIRECT), "an extra was removed: run `python scripts/licences.py`"


def test_table_is_permissive() -> None:
    rows = script.read_table()
    assert len(rows) > 100
    # The licence column holds an expression or free text; as free text an expression is judged no milder.
    licence_of_row = {name: licences.Licence(text=row.licence) for name, row in rows.items()}
    assert [o for name, licence in licence_of_row.items() if (o := licences.objection(name, licence))] == []


def test_table_agrees_with_what_is_installed() -> None:
    wrong = {}
    for name, row in script.read_table().items():
        try:
            same = metadata.version(name) == row.version
        except metadata.PackageNotFoundError:
            continue
        if same and name not in licences.EXAMINED and licences.installed_licence(name).summary != row.licence:
            wrong[name] = (row.licence, licences.installed_licence(name).summary)
    assert wrong == {}, "run `python scripts/licences.py`"
