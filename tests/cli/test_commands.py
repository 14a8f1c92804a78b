"""Each command on what the demo made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def board(demo: Any) -> tuple[Path, Path]:
    test = next(iter(sorted(demo.data.rglob("*_test.jpg"))))
    return test, test.with_name(test.name.replace("_test", "_temp"))


def test_inspect_one_board(demo: Any, board: tuple[Path, Path], copperline: Run, tmp_path: Path) -> None:
    arguments = ("inspect", board[0], "--reference", board[1], "--workspace", demo.workspace)
    ran = copperline(*arguments, "--json", "--picture", tmp_path / "p.png")
    assert ran.status == 0, ran.err
    assert set(ran.json) >= {"call", "registration_score", "latency_ms", "detections"}
    assert ran.json["registration_score"] > 0.8
    assert (tmp_path / "p.png").stat().st_size > 1000
    people = copperline(*arguments)
    assert people.status == 0
    assert people.out.startswith(f"{board[0].stem.removesuffix('_test')}: ")
    rows = copperline(
        "sql",
        "SELECT COUNT(*) AS n FROM inspections WHERE station_id = 'cli' AND board_id = :board",
        "--param",
        f"board={ran.json['board_id']}",
        "--workspace",
        demo.workspace,
        "--json",
    )
    assert rows.json["rows"][0]["n"] <= 1  # twice the same inspection is one row


def test_wrong_reference_is_withheld(demo: Any, board: tuple[Path, Path], copperline: Run) -> None:
    other = sorted(demo.data.rglob("*_temp.jpg"))[-1]
    ran = copperline("inspect", board[0], "--reference", other, "--workspace", demo.workspace, "--json", "--dry-run")
    assert (ran.status, ran.json["call"], ran.json["detections"]) == (0, "WITHHELD", [])


def test_inspect_a_folder_goes_on_after_a_bad_pair(demo: Any, copperline: Run, tmp_path: Path) -> None:
    for source in sorted(demo.data.rglob("*_t*.jpg"))[:6]:
        (tmp_path / source.name).write_bytes(source.read_bytes())
    bad = sorted(tmp_path.glob("*_test.jpg"))[1]
    bad.write_bytes(b"")
    ran = copperline("inspect", tmp_path, "--workspace", demo.workspace, "--json", "--station", "AOI-1")
    assert ran.status == 0, ran.err
    assert ran.json["inspected"] == 2
    assert [skip["path"] for skip in ran.json["skipped"]] == [str(bad)]
    again = copperline("inspect", tmp_path, "--workspace", demo.workspace)
    assert "(0 were new)" in again.out
    assert bad.name in again.out


def test_predict_in_sql_is_what_inspect_says(demo: Any, copperline: Run) -> None:
    query = "SELECT filename, PREDICT(image_bytes, reference_bytes) AS d, PREDICT(image_bytes) AS single"
    ran = copperline("sql", f"{query} FROM pcb_labeled_data LIMIT 2", "--workspace", demo.workspace, "--json")
    assert ran.status == 0, ran.err
    for row in ran.json["rows"]:
        assert isinstance(json.loads(row["d"]), list)
        assert isinstance(json.loads(row["single"]), list)
        image = next(demo.workspace.rglob(f"images/{row['filename']}"))
        reference = next(demo.workspace.rglob(f"references/{row['filename']}"))
        inspected = copperline(
            "inspect", image, "--reference", reference, "--workspace", demo.workspace, "--json", "--dry-run"
        )
        assert json.loads(row["d"]) == inspected.json["detections"]


def test_sql_is_read_only_unless_asked(demo: Any, copperline: Run) -> None:
    refused = copperline("sql", "DELETE FROM inspections", "--workspace", demo.workspace)
    assert refused.status == 1
    assert "--write" in refused.err
    assert refused.err.count("\n") == 1
    table = copperline("sql", "SELECT filename, image_bytes FROM pcb_labeled_data", "--workspace", demo.workspace)
    assert " bytes>" in table.out


def test_evaluate_prints_the_contract(demo: Any, copperline: Run, tmp_path: Path) -> None:
    arguments = ("--data", demo.data, "--workspace", demo.workspace, "--report", tmp_path / "report")
    ran = copperline("evaluate", *arguments, "--json")
    assert ran.status == 0, ran.err
    assert set(ran.json) >= {
        "images", "ap33", "ap33_pooled", "map50", "map50_95", "per_class", "f_score", "precision", "recall",
        "false_detections_per_image", "clean_boards", "false_call_boards", "seconds", "model", "model_version",
    }  # fmt: skip
    assert ran.json["images"] == 4
    assert ran.json["map50"] == pytest.approx(demo.result["map50"])
    single = copperline("evaluate", *arguments, "--single")
    assert single.status == 0
    assert str(tmp_path / "report") in single.out


def test_models_are_listed_shown_promoted_and_exported(demo: Any, copperline: Run, tmp_path: Path) -> None:
    def at(*arguments: object) -> Any:
        ran = copperline(*arguments, "--workspace", demo.workspace)
        assert ran.status == 0, ran.err
        return ran

    assert at("models", "list", "--json").json["versions"][0]["aliases"] == ["champion"]
    assert "Operating point" in at("models", "show").out
    assert at("models", "promote", "1", "--alias", "challenger", "--json").json["aliases"] == ["challenger", "champion"]
    *_, first, last = at("models", "history", "--json").json["promotions"]
    assert (first["alias"], first["to_version"], first["reason"]) == ("champion", 1, "when it was registered")
    assert (last["alias"], last["from_version"], last["to_version"]) == ("challenger", None, 1)
    file = tmp_path / "m.onnx"
    at("models", "export", "champion", file)
    assert file.with_suffix(".md").read_text().startswith("# ")
    board = next(iter(sorted(demo.data.rglob("*_test.jpg"))))
    assert at("inspect", board, "--model", file, "--json", "--dry-run").json["model"] == "m"


def test_data_round_trip(demo: Any, copperline: Run, tmp_path: Path) -> None:
    seen = copperline("data", "inspect", demo.data, "--json").json
    for layout in ("yolo", "coco"):
        made = copperline("data", "export", demo.data, tmp_path / layout, "--format", layout)
        assert made.status == 0, made.err
        again = copperline("data", "inspect", tmp_path / layout, "--json").json
        assert (again["accepted"], again["class_counts"]) == (seen["accepted"], seen["class_counts"])
    workspace = ("--workspace", tmp_path / "w")
    imported = copperline("data", "import", tmp_path / "coco", "--name", "again", *workspace)
    assert imported.status == 0, imported.err
    twice = copperline("data", "import", tmp_path / "coco", "--name", "again", *workspace)
    assert twice.status == 1
    assert "exists" in twice.err
    drawn = copperline("data", "generate", tmp_path / "drawn", "--train", 3, "--test", 1, "--size", 160, "--json")
    assert drawn.json == {"dataset": str(tmp_path / "drawn"), "train": 3, "test": 1, "seed": 0}
