import os
import subprocess
import sys
from pathlib import Path

import pytest

from copperline.errors import SettingsError
from copperline.settings import Settings
from copperline.workspace import Workspace


def test_lock_is_held_by_one_process_and_released(tmp_path: Path) -> None:
    space = Workspace(Settings.load(tmp_path))
    script = (
        "import sys; from pathlib import Path\n"
        "from copperline.settings import Settings; from copperline.workspace import Workspace\n"
        "with Workspace(Settings.load(Path(sys.argv[1]))).locked(): pass"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with space.locked():
        other = subprocess.run(command, capture_output=True, text=True, check=False)
        assert f"in use by another run (process {os.getpid()})" in other.stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_new_runs_are_distinct_and_the_last_is_found(tmp_path: Path) -> None:
    space = Workspace(Settings.load(tmp_path))
    with pytest.raises(SettingsError, match="no run to resume"):
        space.last_run()
    first, second = space.new_run(), space.new_run()
    assert first != second
    (first / "checkpoint.pt").touch()
    assert space.last_run() == first


def test_workspace_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be written"):
        Workspace(Settings.load(tmp_path / "file" / "w")).prepare()


def test_a_data_set_is_found_by_its_name_or_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space = Workspace(Settings(workspace=tmp_path / "w"))
    (space.datasets / "boards").mkdir(parents=True)
    assert space.dataset(Path("boards")) == space.datasets / "boards"
    assert space.dataset(Path("nowhere")) == Path("nowhere")
    assert space.dataset(Path("a/boards")) == Path("a/boards")
    Path("boards").mkdir()
    assert space.dataset(Path("boards")) == Path("boards")  # a path that is there is what was meant
