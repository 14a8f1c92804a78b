"""What may be a dependency, by what its metadata states."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from copperline import licences


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


def distribution(folder: Path, name: str, *lines: str) -> None:
    """An installed distribution of which there is only the metadata."""
    info = folder / f"{name.replace('-', '_')}-1.5.dist-info"
    info.mkdir()
    text = "\n".join(("Metadata-Version: 2.4", f"Name: {name}", "Version: 1.5", *lines))
    (info / "METADATA").write_text(text + "\n")


def test_installed_dependencies_are_found_judged_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    distribution(
        tmp_path,
        "some-app",
        "Provides-Extra: plots",
        "Provides-Extra: cloud",
        "Requires-Dist: Some.Lib",
        "Requires-Dist: some-plotter; extra == 'plots'",
        "Requires-Dist: some-plotter; extra == 'cloud'",
        "Requires-Dist: some-cloud-that-is-not-here; extra == 'cloud'",
    )
    distribution(tmp_path, "Some-Lib", "License-Expression: MIT", "Requires-Dist: some-deep-one")
    distribution(tmp_path, "some-deep-one", "License: BSD")
    distribution(tmp_path, "some-plotter", "License-Expression: AGPL-3.0-only", "Requires-Dist: some-odd-one")
    distribution(tmp_path, "some-odd-one", "License-Expression: MIT AND")
    found = {d.name: d for d in licences.installed_dependencies("some-app")}
    assert list(found) == ["some-deep-one", "Some-Lib", "some-odd-one", "some-plotter"]
    assert found["Some-Lib"] == licences.Dependency("Some-Lib", "1.5", "MIT", ("base",), None)
    assert found["some-deep-one"].needed_by == ("base",)
    assert found["some-plotter"].needed_by == ("plots", "cloud")
    assert found["some-plotter"].objection == "some-plotter: AGPL-3.0-only"
    assert "SPDX" in str(found["some-odd-one"].objection)


def test_a_project_that_is_not_installed_has_none() -> None:
    assert licences.installed_dependencies("no-such-project") == ()


def test_what_is_installed_here_is_accepted() -> None:
    found = licences.installed_dependencies()
    assert {"numpy", "onnxruntime"} <= {d.name for d in found}
    assert [d.objection for d in found if d.objection] == []
    assert all(d.version == metadata.version(d.name) for d in found)
