"""The wheel is installed, into a folder of its own, by pip itself."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from copperline.snowflake.own_wheel import write_wheel


def test_pip_installs_the_wheel_and_what_it_installs_is_this_copperline(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path)
    assert wheel.name == f"copperline-{version('copperline')}-py3-none-any.whl"
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-compile", "--target", str(target)]
    installed = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, check=False, timeout=120)
    assert installed.returncode == 0, installed.stderr
    here = Path(__file__).parents[2] / "src" / "copperline"
    for path in here.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert (target / "copperline" / path.relative_to(here)).read_bytes() == path.read_bytes()
    assert (target / "bin" / "copperline").is_file()


def test_the_same_files_make_the_same_wheel(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    assert write_wheel(tmp_path).read_bytes() == write_wheel(tmp_path / "again").read_bytes()
