"""Bad input: one line that names the file, a status that is not 0, nothing half-written."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from copperline.data.synthetic import write_synthetic_dataset
from copperline.registry import builtin

Run = Callable[..., Any]


def one_line(ran: Any, *parts: str) -> None:
    assert ran.status == 1, ran.out
    assert ran.err.count("\n") == 1, ran.err
    assert ran.err.startswith("error: ")
    for part in parts:
        assert part in ran.err


def png(path: Path, image: np.ndarray) -> Path:
    cv2.imwrite(str(path), image)
    return path


BOARD = np.kron(np.random.default_rng(0).integers(0, 2, (20, 20)) * 255, np.ones((8, 8))).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("missing.png", lambda p: None, "cannot be read"),
        ("empty.png", lambda p: p.write_bytes(b""), "empty"),
        ("text.png", lambda p: p.write_text("no image"), "image"),
        ("cut.png", lambda p: p.write_bytes(cv2.imencode(".png", BOARD)[1].tobytes()[:200]), "damaged"),
        ("dot.png", lambda p: png(p, BOARD[:1, :1]), "1 x 1"),
        ("huge.png", lambda p: png(p, np.zeros((1, 20_000), np.uint8)), "20000 x 1"),
        ("white.png", lambda p: png(p, np.full((64, 64), 255, np.uint8)), "no board"),
        ("other-size.png", lambda p: png(p, BOARD[:96]), "160 x 96"),
    ],
)
def test_bad_image(
    demo: Any, copperline: Run, tmp_path: Path, name: str, make: Callable[[Path], object], says: str
) -> None:
    reference = png(tmp_path / "reference.png", BOARD)
    make(tmp_path / name)
    ran = copperline(
        "inspect", tmp_path / name, "--reference", reference, "--workspace", demo.workspace, "--station", "bad"
    )
    one_line(ran, says)
    if name != "other-size.png":
        assert name in ran.err
    rows = copperline(
        "sql", "SELECT COUNT(*) AS n FROM inspections WHERE station_id = 'bad'", "--workspace", demo.workspace, "--json"
    )
    assert rows.json["rows"] == [{"n": 0}]


def test_bad_data_sets(copperline: Run, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    one_line(copperline("data", "inspect", tmp_path / "nothing"), "trainval.txt", str(tmp_path / "nothing"))
    one_line(copperline("data", "inspect", tmp_path / "nowhere"), "no such folder")
    write_synthetic_dataset(tmp_path / "boards", train=3, test=1, size=160, processes=1)
    annotation = next(iter(sorted((tmp_path / "boards").rglob("7*_not/*.txt"))))
    annotation.write_text("1 2 3 4 5\nten 20 30 40 1\n")
    ran = copperline("data", "inspect", tmp_path / "boards", "--json")
    assert ran.status == 0
    assert ran.json["accepted"] == 3
    assert f"{annotation}:2:" in ran.json["skipped"][0]["reason"]
    (tmp_path / "boards" / "test.txt").unlink()
    (tmp_path / "boards" / "trainval.txt").write_text("")
    one_line(copperline("train", "--data", tmp_path / "boards", "--workspace", tmp_path / "w"), "boards")
    assert not (tmp_path / "w" / "registry.db").exists()


def test_bad_models(demo: Any, copperline: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "builtin_folder", lambda: tmp_path / "nothing is shipped")
    board = next(demo.data.rglob("*_test.jpg"))
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    at = ("--workspace", demo.workspace)
    one_line(copperline("inspect", board, "--model", tmp_path / "broken.onnx", *at), "broken.onnx")
    one_line(copperline("inspect", board, "--model", "99", *at), "no version or alias '99'")
    one_line(copperline("inspect", board, "--workspace", tmp_path / "new"), "copperline train")
    assert not (tmp_path / "new" / "warehouse.db").exists()


@pytest.mark.parametrize("command", ["train", "demo"])
def test_workspace_that_cannot_be_written(demo: Any, copperline: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    ran = copperline(command, "--data", demo.data, "--workspace", tmp_path / "file" / "w")
    one_line(ran, "the workspace cannot be written", str(tmp_path / "file" / "w"))


def test_disk_full_leaves_nothing_behind(demo: Any, tmp_path: Path) -> None:
    """A limit on the size of a file stands for the full disk: the system refuses the write in the same way."""
    command = [sys.executable, "-m", "copperline", "data", "import", str(demo.data), "--workspace", str(tmp_path / "w")]

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    run = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=small_disk, timeout=120)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1, run.stderr
    assert "cannot be written" in run.stderr
    assert list((tmp_path / "w" / "datasets").iterdir()) == []


def test_second_run_in_a_workspace_and_a_killed_training(demo: Any, copperline: Run, tmp_path: Path) -> None:
    """A training holds its workspace; killed, it lets go, and the next one goes on from its checkpoint."""
    workspace = tmp_path / "w"
    command = [sys.executable, "-m", "copperline", "train", "--data", str(demo.data), "--workspace", str(workspace)]
    one_core = {**os.environ, "COPPERLINE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    quick = ("--crops-per-pair", "4", "--batch-size", "4")
    running = subprocess.Popen([*command, *quick, "--epochs", "400"], stderr=subprocess.DEVNULL, env=one_core)
    try:
        _wait_for(lambda: any(workspace.glob("runs/*/checkpoint.pt")), running)
        ran = copperline("train", "--data", demo.data, "--workspace", workspace, "--epochs", 1)
        one_line(ran, "in use by another run", str(running.pid))
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    (checkpoint,) = workspace.glob("runs/*/checkpoint.pt")
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint.pt"]
    assert not (workspace / "artifacts" / "models").exists()

    resumed = subprocess.Popen([*command, "--resume", "last"], stderr=subprocess.PIPE, text=True, env=one_core)
    assert resumed.stderr is not None
    start, first_epoch = resumed.stderr.readline(), resumed.stderr.readline()
    resumed.kill()
    resumed.communicate()
    assert re.match(r"Training: 1 worker .* steps, \d+ of them done before", start)
    assert int(first_epoch.removeprefix("epoch ").partition(":")[0]) >= 2


def test_a_crop_size_that_the_network_cannot_halve(demo: Any, copperline: Run, tmp_path: Path) -> None:
    ran = copperline("train", "--data", demo.data, "--workspace", tmp_path / "w", "--crop-size", 100)
    one_line(ran, "expected a crop size that is a multiple of 32, found 100", "--crop-size 96")


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the training ended early"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_unknown_setting_is_named(copperline: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("copperline.toml").write_text('workspce = "x"\n')
    one_line(copperline("models", "list"), "workspce", "copperline.toml")
    Path("copperline.toml").write_text("threads = -1\n")
    one_line(copperline("models", "list"), "threads")


def test_help_is_fast_and_version_is_printed(copperline: Run) -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import copperline.cli"]
    imported = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    heavy = ("numpy", "cv2", "torch", "mlflow", "sqlalchemy", "matplotlib", "onnxruntime", "pydantic")
    assert [name for name in heavy if f"| {name}\n" in imported] == []
    assert copperline("--version").out.strip()[0].isdigit()


def test_training_without_torch_says_what_to_install(demo: Any, tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from copperline.cli import main; main()"
    command = [sys.executable, "-c", code, "train", "--data", str(demo.data), "--workspace", str(tmp_path / "w")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == ("error: this command needs torch, which is not installed; pip install 'copperline[train]'\n")
