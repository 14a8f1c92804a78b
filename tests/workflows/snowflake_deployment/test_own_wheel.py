from __future__ import annotations

import io
import zipfile

import pytest

from copperline.errors import DataError, SettingsError
from copperline.workflows.snowflake_deployment.own_wheel import Wheel, check_wheel, own_wheel


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
