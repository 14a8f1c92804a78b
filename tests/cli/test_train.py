"""`copperline train --golden-only`: what it reads, and what it says."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from copperline.cli import train
from copperline.data.synthetic import write_synthetic_dataset
from copperline.training import FINE_TUNING, TrainConfig

Run = Callable[..., Any]

# Runs the command line with every path that the process opens written to a file.
AUDITED = """
import json, os, sys

opened = []
sys.addaudithook(lambda event, arguments: opened.append(arguments[0]) if event == "open" else None)

from copperline.cli import main

log, *command = sys.argv[1:]
sys.argv = ["copperline", *command]
try:
    main()
finally:
    paths = [os.fsdecode(path) for path in opened if isinstance(path, (str, bytes, os.PathLike))]
    open(log, "w", encoding="utf-8").write(json.dumps(sorted(set(paths))))
"""


def test_the_commands_defaults_are_those_of_the_configuration() -> None:
    options = {name: option.default for name, option in inspect.signature(train.train).parameters.items()}
    shared = (options.keys() & TrainConfig.model_fields.keys()) - {"drawn"}  # whose default depends on the data
    # Those that are otherwise with --init say both defaults in words; --mix is of several data sets, --init of a model.
    in_words = {"epochs", "crops_per_pair", "learning_rate", "network"}
    plain = shared - in_words - {"init", "mix"}
    assert len(plain) >= 3
    assert {name: options[name] for name in plain} == {name: getattr(TrainConfig(), name) for name in plain}
    hints = get_type_hints(train.train, include_extras=True)
    for name in in_words:
        assert options[name] is None
        told = hints[name].__metadata__[0].help
        assert (
            f"default: {getattr(TrainConfig(), name)}, with --init {FINE_TUNING.get(name, 'that of the model')}" in told
        )


@dataclass(frozen=True)
class Trained:
    """A finished run from golden images alone, and every path that the command opened."""

    data: Path
    workspace: Path
    result: dict[str, Any]
    messages: str
    opened: list[Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """On a data set in DeepPCB's layout whose labels cannot be read and whose test images are no images."""
    folder = tmp_path_factory.mktemp("golden-only")
    data, workspace, log = folder / "boards", folder / "workspace", folder / "opened.json"
    write_synthetic_dataset(data, train=6, test=1, size=160, processes=1)
    for label in data.rglob("*_not/*.txt"):
        label.unlink()
        label.mkdir()
    for image in data.rglob("*_test.jpg"):
        image.write_text("no image")
    bare = sorted(data.rglob("*_temp.jpg"))[0]
    write_bare(bare)
    command = [sys.executable, "-c", AUDITED, log, "train", "--golden-only", data, "--workspace", workspace]
    command += ["--epochs", 1, "--crops-per-pair", 1, "--batch-size", 2, "--box-margin", 6, "--json"]
    one_core = {**os.environ, "COPPERLINE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=300, env=one_core
    )
    assert run.returncode == 0, run.stderr
    opened = [Path(path).absolute() for path in json.loads(log.read_text())]
    return Trained(data, workspace, json.loads(run.stdout.splitlines()[-1]), run.stderr, opened)


def write_bare(path: Path) -> None:
    import cv2
    import numpy as np

    cv2.imwrite(str(path), np.full((160, 160), 255, np.uint8))


def test_no_label_and_no_test_image_is_opened(trained: Trained) -> None:
    inside = {path.relative_to(trained.data) for path in trained.opened if path.is_relative_to(trained.data)}
    assert Path("trainval.txt") in inside
    assert sum(path.name.endswith("_temp.jpg") for path in inside) == 6
    assert {path for path in inside if not path.name.endswith("_temp.jpg")} == {Path("trainval.txt")}
    # The hook sees what Python opens and what it fails to open; the labels lie in the folders ending in _not.
    assert not any("_not" in str(path) for path in inside)


def test_result_and_card_say_what_was_measured(trained: Trained) -> None:
    assert trained.result["validated_on"] == "drawn defects"
    run = Path(trained.result["run"])
    assert (run / "model.onnx").is_file()
    (card,) = trained.workspace.rglob("card.json")
    content = json.loads(card.read_text())
    assert content["data_source"] == "boards, references alone"
    assert (content["training"]["drawn"], content["training"]["box_margin"]) == (1.0, 6.0)
    assert content["metrics"]["by split"]["real defects"]["map50"] is None
    assert "on drawn defects, not on real ones" in content["operating_point"]["criterion"]


def test_bare_references_are_named(trained: Trained) -> None:
    bare = sorted(trained.data.rglob("*_temp.jpg"))[0].name.removesuffix("_temp.jpg")
    assert f"golden image {bare} is left out: it has next to no copper" in trained.messages


def test_resume_and_refit(trained: Trained, copperline: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_THREADS", "1")
    common = ("train", "--golden-only", trained.data, "--workspace", trained.workspace)
    resumed = copperline(*common, "--resume", "last", "--json")
    assert resumed.status == 0, resumed.err
    assert (resumed.json["run"], resumed.json["model_version"]) == (trained.result["run"], 2)
    assert resumed.json["validation"] == trained.result["validation"]
    again = copperline(*common, "--refit", trained.result["run"])
    assert again.status == 0, again.err
    assert f"drawn defects, of run {Path(trained.result['run']).name}'s model" in again.out
    assert "On real defects: not measured." in again.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected --data or --golden-only, found neither"),
        (("--data", "a", "--golden-only", "b"), "found both"),
        (("--golden-only", "b", "--drawn", "0.5"), "found --drawn 0.5"),
        (("--golden-only", "no-such-folder"), "found no such folder"),
    ],
)
def test_what_cannot_be_asked_for(copperline: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    ran = copperline("train", *arguments, "--workspace", tmp_path)
    assert ran.status == 1
    assert message in ran.err
    assert len(ran.err.strip().splitlines()) == 1
