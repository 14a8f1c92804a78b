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

ROOT = Path(__file__).resolve().parents[2]


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


licences = _load(ROOT / "scripts" / "licences.py")
DIRECT = licences.direct_dependencies()


def _installed_licence(name: str) -> licences.Licence:
    found = metadata.metadata(name)
    return licences.Licence(
        expression=found.get("License-Expression", ""),
        text=found.get("License", ""),
        classifiers=tuple(c for c in found.get_all("Classifier", []) if c.startswith("License ::")),
    )


def _installed_requirements(name: str) -> list[str] | None:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return None


@pytest.mark.parametrize("extra", DIRECT)
def test_installed_closure_is_permissive(extra: str) -> None:
    names = licences.closure(DIRECT[extra], _installed_requirements)
    if not names:
        pytest.skip(f"nothing of the extra {extra!r} is installed; the table judges it")
    assert [o for name in sorted(names) if (o := licences.objection(name, _installed_licence(name)))] == []


def test_table_covers_every_direct_dependency() -> None:
    table = licences.read_table()
    wanted = {(extra, canonicalize_name(Requirement(text).name)) for extra, texts in DIRECT.items() for text in texts}
    covered = {(extra, name) for name, row in table.items() for extra in row.needed_by}
    assert sorted(wanted - covered) == [], "run `python scripts/licences.py`"
    assert {extra for extra, _ in covered} == set(DIRECT), "an extra was removed: run `python scripts/licences.py`"


def test_table_is_permissive() -> None:
    rows = licences.read_table()
    assert len(rows) > 100
    # The licence column holds an expression or free text; as free text an expression is judged no milder.
    licence_of_row = {name: licences.Licence(text=row.licence) for name, row in rows.items()}
    assert [o for name, licence in licence_of_row.items() if (o := licences.objection(name, licence))] == []


def test_table_agrees_with_what_is_installed() -> None:
    wrong = {}
    for name, row in licences.read_table().items():
        try:
            same = metadata.version(name) == row.version
        except metadata.PackageNotFoundError:
            continue
        if same and name not in licences.EXAMINED and _installed_licence(name).summary != row.licence:
            wrong[name] = (row.licence, _installed_licence(name).summary)
    assert wrong == {}, "run `python scripts/licences.py`"


@pytest.mark.parametrize(
    "licence",
    [
        licences.Licence(
            text="AGPL-3.0", classifiers=("License :: OSI Approved :: GNU Affero General Public License v3",)
        ),
        licences.Licence(text="AGPL-3.0"),
        licences.Licence(expression="AGPL-3.0-or-later"),
        licences.Licence(
            classifiers=("License :: OSI Approved :: GNU Affero General Public License v3 or later (AGPLv3+)",)
        ),
        licences.Licence(text="GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3, 19 November 2007\n..."),
        licences.Licence(text="GPLv2"),
        licences.Licence(text="GPL v2 or later"),
        licences.Licence(text="GNU General Public License, version 2 or any later version"),
        licences.Licence(text="GPL and BSD"),
        licences.Licence(expression="GPL-3.0-only"),
        licences.Licence(expression="MIT AND (GPL-2.0-or-later OR AGPL-3.0-only)"),
        licences.Licence(expression="GPL-2.0-only WITH Linux-syscall-note"),
        licences.Licence(
            classifiers=(
                "License :: OSI Approved :: MIT License",
                "License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
            )
        ),
        licences.Licence(text="MIT", classifiers=("License :: OSI Approved :: GNU General Public License (GPL)",)),
        licences.Licence(),
        licences.Licence(text="  ", classifiers=()),
    ],
)
def test_refused(licence: licences.Licence) -> None:
    assert licences.objection("ultralytics", licence).startswith("ultralytics: ")


@pytest.mark.parametrize(
    "licence",
    [
        licences.Licence(expression="MIT"),
        licences.Licence(expression="LGPL-3.0-or-later"),
        licences.Licence(expression="GPL-2.0-or-later OR BSD-3-Clause"),
        licences.Licence(expression="(GPL-3.0-only OR MIT) AND Apache-2.0"),
        licences.Licence(expression="MIT AND GPL-3.0-or-later WITH GCC-exception-3.1"),
        licences.Licence(expression="MIT", text="GPL"),  # PEP 639: the expression alone decides
        licences.Licence(text="GPL or BSD"),
        licences.Licence(text="LGPLv2.1"),
        licences.Licence(text="GNU Lesser General Public License v3"),
        licences.Licence(text="GNU LIBRARY GENERAL PUBLIC LICENSE"),
        licences.Licence(
            classifiers=("License :: OSI Approved :: GNU Lesser General Public License v3 or later (LGPLv3+)",)
        ),
        licences.Licence(text="BSD 3-Clause License\n" + " " * 600 + "bundled: GNU General Public License"),
        licences.Licence(text="LicenseRef-NVIDIA-Proprietary"),
    ],
)
def test_accepted(licence: licences.Licence) -> None:
    assert licences.objection("some-package", licence) is None


def test_examined_excuses_only_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "EXAMINED", {"meta": "no files"})
    assert licences.objection("Meta", licences.Licence()) is None
    assert licences.objection("meta", licences.Licence(text="AGPL-3.0")) == "meta: AGPL-3.0"


@pytest.mark.parametrize("expression", ["MIT AND", "(MIT", "MIT Apache-2.0", "OR", ")"])
def test_broken_expression_is_an_error(expression: str) -> None:
    with pytest.raises(ValueError, match="SPDX"):
        licences.objection("some-package", licences.Licence(expression=expression))


def test_closure_follows_extras_and_markers() -> None:
    needs = {
        "app": ["lib[fast]>=1", 'old; python_version < "3"', "Unknown.Package"],
        "lib": ["core", 'turbo; extra == "fast"', 'slow; extra == "slow"'],
        "core": ["app"],
        "turbo": [],
        "slow": [],
        "old": [],
    }
    assert licences.closure(["App"], needs.get) == {"app", "lib", "core", "turbo"}
    assert licences.closure(["lib", "lib[slow]"], needs.get) == {"app", "lib", "core", "turbo", "slow"}
