"""A shipped model, from the script that makes it to the commands that use it."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from copperline.errors import ModelError
from copperline.registry import ModelCard, builtin, disagreements, file_sha256
from copperline.runtime import OnnxModel

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
# As the demo trains, instead of as the recipe says.
ONE_EPOCH = [
    *("--network", "yolo12-pico", "--epochs", "1", "--batch-size", "44", "--micro-batch", "22"),
    *("--crop-size", "96", "--learning-rate", "0.006", "--drawn", "0.0"),
]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_models", ROOT / "scripts" / "build_models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run_folder(demo: Any) -> Path:
    (run,) = (demo.workspace / "runs").iterdir()
    return run


@pytest.fixture(scope="module")
def packed(demo: Any, run_folder: Path, script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that stands for the package's, with the demo's model as `deeppcb`."""
    folder = tmp_path_factory.mktemp("shipped")
    script.build("deeppcb", run_folder, demo.data, ONE_EPOCH, hardware="one core", folder=folder)
    return folder


@pytest.fixture
def shipped(packed: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """`packed` is what is shipped; gives the version of its model."""
    monkeypatch.setattr(builtin, "builtin_folder", lambda: packed)
    return file_sha256(packed / "deeppcb.onnx")[:12]


def test_the_script_writes_a_model_with_a_complete_card(packed: Path, run_folder: Path, script: ModuleType) -> None:
    path = packed / "deeppcb.onnx"
    assert path.read_bytes() == (run_folder / "model.onnx").read_bytes()
    card = ModelCard.read(packed / "deeppcb.card.json")
    assert disagreements(card, path, OnnxModel(path, threads=1).info) == ()
    assert (card.name, card.hardware, card.splits["test"].boards) == ("deeppcb", "one core", 4)
    assert card.command == (
        f"copperline train --data PATH {' '.join([*script.RECIPES['deeppcb'].arguments, *ONE_EPOCH])}"
        " && copperline train --data PATH --refit last"
    )
    assert {"Python", "torch", "onnxruntime"} <= card.software.keys()
    assert card.baseline is not None
    assert card.baseline.boards == card.splits["val"].boards
    assert card.parity is not None
    for measured in ("val, with reference", "val, single images", "test, with reference", "test, single images"):
        rows: Any = card.metrics[measured]
        assert rows["map50"].keys() == {"value", "low", "high"}
        assert f"### {measured}" in card.to_markdown()
    assert str(run_folder.parent) not in card.model_dump_json()


def test_the_script_measures_a_baseline_anew_and_changes_nothing_else(
    demo: Any, script: ModuleType, packed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(packed, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(builtin, "builtin_folder", lambda: tmp_path)
    path = tmp_path / "deeppcb.card.json"
    whole = path.read_bytes()
    old = ModelCard.read(path).model_dump(mode="json")
    path.write_text(json.dumps({key: value for key, value in old.items() if key != "baseline"}))
    script.main(["--baselines", "--data", str(demo.data)])
    assert path.read_bytes() == whole
    assert (tmp_path / "deeppcb.onnx").read_bytes() == (packed / "deeppcb.onnx").read_bytes()


def test_the_script_refuses_a_run_of_other_options(demo: Any, run_folder: Path, script: ModuleType) -> None:
    with pytest.raises(ModelError, match=r"trained with other options: .*epochs 65 \(the run: 1\)"):
        script.build("deeppcb", run_folder, demo.data, [], folder=run_folder)
    assert not (run_folder / "deeppcb.onnx").exists()


def test_the_script_refuses_a_model_that_was_not_registered(
    demo: Any, script: ModuleType, packed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "workspace" / "runs" / "one"
    run.mkdir(parents=True)
    (run / "model.onnx").write_bytes((packed / "deeppcb.onnx").read_bytes())
    with pytest.raises(ModelError, match="expected a run whose model is registered"):
        script.build("deeppcb", run, demo.data, ONE_EPOCH, folder=tmp_path)


def test_the_page_shows_the_figures_of_what_is_shipped(
    script: ModuleType, packed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = ROOT / "docs" / "models.md"
    assert script.figures() in page.read_text(encoding="utf-8"), "run python scripts/build_models.py --figures"
    monkeypatch.setattr(builtin, "builtin_folder", lambda: packed)
    copy = tmp_path / "models.md"
    copy.write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    script.write_figures(copy)
    rows = [line for line in copy.read_text(encoding="utf-8").splitlines() if line.startswith("| `deeppcb` |")]
    assert [row.split(" | ")[1] for row in rows] == [
        "val, with reference", "val, single images", "test, with reference", "test, single images",
    ]  # fmt: skip


def test_a_board_is_inspected_before_anything_is_registered(
    demo: Any, copperline: Run, shipped: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    board = sorted(demo.data.rglob("*_test.jpg"))[0]
    reference = board.with_name(board.name.replace("_test", "_temp"))
    at = ("--workspace", tmp_path / "w", "--json")
    ran = copperline("inspect", board, "--reference", reference, *at)
    assert ran.status == 0, ran.err
    assert (ran.json["model"], ran.json["model_version"]) == ("deeppcb", shipped)
    assert [record.getMessage()[:33] for record in caplog.records] == ["note: no model is registered yet,"]
    rows = copperline("sql", "SELECT model_name, model_version FROM inspections", *at).json["rows"]
    assert rows == [{"model_name": "deeppcb", "model_version": shipped}]
    measured = copperline("evaluate", "--data", demo.data, *at)
    assert (measured.json["model"], measured.json["model_version"]) == ("deeppcb", shipped)
    refused = copperline("inspect", board, "--model", "1", *at)
    assert refused.status == 1
    assert "there is no '1'" in refused.err


def test_the_shipped_model_is_announced_once_on_stderr(demo: Any, packed: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from copperline.registry import builtin; "
        f"builtin.builtin_folder = lambda: Path({str(packed)!r}); from copperline.cli import main; main()"
    )
    board = sorted(demo.data.rglob("*_test.jpg"))[0]
    command = [sys.executable, "-c", code, "inspect", str(board), "--workspace", str(tmp_path / "w"), "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stderr.splitlines() == [
        "note: no model is registered yet, so the shipped model builtin:deeppcb is used; "
        "`copperline models promote builtin:deeppcb` makes it the champion"
    ]
    assert json.loads(run.stdout)["model"] == "deeppcb"


def test_a_shipped_model_is_listed_shown_exported_and_promoted(
    demo: Any, copperline: Run, shipped: str, tmp_path: Path
) -> None:
    def at(*arguments: object) -> Any:
        ran = copperline(*arguments, "--workspace", tmp_path / "w")
        assert ran.status == 0, ran.err
        return ran

    listed = at("models", "list", "--json").json
    assert listed["versions"] == []
    assert [(m["name"], m["version"]) for m in listed["builtin"]] == [("builtin:deeppcb", shipped)]
    people = at("models", "list").out
    assert "No model is registered yet." in people
    assert "builtin:deeppcb" in people

    for name in ("builtin:deeppcb", "champion"):
        card = at("models", "show", name, "--json").json
        assert (card["name"], card["version"], card["aliases"]) == ("deeppcb", shipped, [])
    assert "Hardware: one core." in at("models", "show", "builtin:deeppcb").out

    file = tmp_path / "m.onnx"
    at("models", "export", "builtin:deeppcb", file)
    assert file_sha256(file)[:12] == shipped
    assert file.with_suffix(".md").read_text().startswith("# deeppcb")

    assert not (tmp_path / "w" / "registry.db").exists()
    assert "No promotion is recorded yet" in at("models", "history").out
    reason = ("--reason", "a start", "--by", "ann@plant.example")
    promoted = at("models", "promote", "builtin:deeppcb", *reason, "--json").json
    assert promoted == {"name": "pcb-detector", "version": 1, "aliases": ["champion"]}
    (recorded,) = at("models", "history", "--json").json["promotions"]
    assert (recorded["by"], recorded["reason"], recorded["to_version"]) == ("ann@plant.example", "a start", 1)
    assert "ann@plant.example" in at("models", "history").out
    board = sorted(demo.data.rglob("*_test.jpg"))[0]
    assert at("inspect", board, "--json", "--dry-run").json["model_version"] == "1"


def test_a_model_for_other_classes_is_not_evaluated(
    demo: Any, copperline: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taxonomy = tmp_path / "classes.toml"
    names = ("open", "short", "mousebite", "spur", "pin-hole", "copper")  # DeepPCB's, the last two exchanged
    taxonomy.write_text(
        "".join(f'[[classes]]\nname = "{name}"\nseverity = "minor"\ncolour = "#112233"\n' for name in names)
    )
    monkeypatch.setenv("COPPERLINE_TAXONOMY_FILE", str(taxonomy))
    ran = copperline("evaluate", "--data", demo.data, "--workspace", demo.workspace)
    assert ran.status == 1
    assert ran.err.count("\n") == 1
    assert "spur, pin-hole, copper; pcb-detector 1 has open, short, mousebite, spur, copper, pin-hole" in ran.err


def test_a_withheld_call_says_why_and_leaves_no_defects(demo: Any, copperline: Run) -> None:
    board, reference = sorted(demo.data.rglob("*_test.jpg"))[0], sorted(demo.data.rglob("*_temp.jpg"))[-1]
    at = ("--workspace", demo.workspace)
    ran = copperline("inspect", board, "--reference", reference, "--station", "wrong", *at)
    assert ran.status == 0, ran.err
    assert ": WITHHELD, 0 defects" in ran.out
    assert "WITHHELD means: registration is below 0.6, so the reference is not that board's" in ran.out
    query = (
        "SELECT i.call, i.defect_count, COUNT(d.inference_id) AS defects FROM inspections i "
        "LEFT JOIN defect_logs d ON d.inspection_id = i.inspection_id WHERE station_id = 'wrong'"
    )
    rows = copperline("sql", query, *at, "--json").json["rows"]
    assert rows == [{"call": "WITHHELD", "defect_count": 0, "defects": 0}]
