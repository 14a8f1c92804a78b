"""The wheel is checked, and installed by pip itself, into a folder of its own."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from copperline.errors import DataError, SettingsError
from copperline.snowflake.own_wheel import Wheel, check_wheel, own_wheel


def test_pip_installs_the_wheel_and_what_it_installs_is_this_copperline(wheel: Wheel, tmp_path: Path) -> None:
    assert wheel.name == f"copperline-{version('copperline')}-py3-none-any.whl"
    (file := tmp_path / wheel.name).write_bytes(wheel.data)
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-compile", "--target", str(target)]
    installed = subprocess.run([*pip, str(file)], capture_output=True, text=True, check=False, timeout=120)
    assert installed.returncode == 0, installed.stderr
    here = Path(__file__).parents[2] / "src" / "copperline"
    for path in here.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert (target / "copperline" / path.relative_to(here)).read_bytes() == path.read_bytes()
    assert (target / "bin" / "copperline").is_file()


def test_the_same_files_give_the_same_bytes(wheel: Wheel) -> None:
    assert own_wheel() == wheel


def test_nothing_that_python_compiled_is_in_it(wheel: Wheel) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel.data)) as archive:
        names = archive.namelist()
        assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
        assert names[-1].endswith(".dist-info/RECORD")
        assert "Root-Is-Purelib: true" in archive.read(names[-1].replace("RECORD", "WHEEL")).decode()


def test_an_extra_that_is_not_offered_is_told_of() -> None:
    with pytest.raises(SettingsError, match=r"extras.*space.*none of the name space; install it anew"):
        own_wheel({"dashboard", "space"})


def test_sources_that_were_never_installed_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.distribution", none)
    with pytest.raises(SettingsError, match="expected an installed Copperline, found its sources alone"):
        own_wheel()


def changed(wheel: Wheel, *, leave_out: str = "", change: str = "") -> Wheel:
    """The wheel without a file, or with other bytes in one."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wheel.data)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            if name != leave_out:
                new.writestr(name, b"other" if name == change else old.read(name))
    return Wheel(wheel.name, packed.getvalue())


@pytest.mark.parametrize("where", ["copperline/errors.py", "copperline/models/deeppcb.onnx"])
def test_a_file_that_is_lost_or_changed_is_found(wheel: Wheel, where: str) -> None:
    check_wheel(changed(wheel))
    for damaged in (changed(wheel, leave_out=where), changed(wheel, change=where)):
        with pytest.raises(DataError, match=r"whole wheel.*its files are not those of its record"):
            check_wheel(damaged)


@pytest.mark.parametrize("size", [0, 10, 4000])
def test_a_wheel_that_is_cut_off_is_found(wheel: Wheel, size: int) -> None:
    with pytest.raises(DataError, match="damaged"):
        check_wheel(Wheel(wheel.name, wheel.data[:size]))
    with pytest.raises(DataError, match="damaged"):
        check_wheel(Wheel("copperline.whl", wheel.data))
