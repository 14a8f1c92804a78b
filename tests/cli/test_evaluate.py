from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def arguments(demo: Any, tmp_path: Path) -> tuple[object, ...]:
    return ("evaluate", "--data", demo.data, "--workspace", demo.workspace, "--report", tmp_path / "report")


def test_errors_are_counted_and_reported(arguments: tuple[object, ...], copperline: Run, tmp_path: Path) -> None:
    ran = copperline(*arguments, "--errors", "--json")
    assert ran.status == 0, ran.err
    errors = ran.json["errors"]
    assert errors.pop("report") == str(tmp_path / "report" / "errors" / "errors.html")
    assert set(errors) == {"missed", "wrong_class", "loose_box", "duplicate", "false_alarm", "found_loosely"}
    lost = errors["missed"] + errors["wrong_class"] + errors["loose_box"]
    assert ran.json["recall"] == pytest.approx(1 - lost / ran.json["labels"])
    written = json.loads((tmp_path / "report" / "errors" / "errors.json").read_text(encoding="utf-8"))
    assert len(written["cases"]) == sum(errors.values())

    told = copperline(*arguments, "--errors")
    assert told.status == 0, told.err
    assert "Errors at the operating point" in told.out
    assert str(tmp_path / "report" / "errors" / "errors.html") in told.out.replace("\n", "")
    assert "--exclude BOARD_ID" in told.out


def test_a_plain_evaluation_leaves_no_errors_of_an_older_one(
    arguments: tuple[object, ...], copperline: Run, tmp_path: Path
) -> None:
    assert copperline(*arguments, "--errors").status == 0
    ran = copperline(*arguments, "--json")
    assert ran.status == 0, ran.err
    assert not {"errors", "without"} & set(ran.json)
    assert not (tmp_path / "report" / "errors").exists()


def test_figures_without_a_board_are_beside_the_official_ones(
    arguments: tuple[object, ...], copperline: Run, tmp_path: Path
) -> None:
    official = copperline(*arguments, "--json").json
    metrics = tmp_path / "report" / "metrics.json"
    board = copperline(*arguments, "--exclude", "x").err.rpartition(" ")[2].strip()
    ran = copperline(*arguments, "--exclude", board, "--exclude", board, "--json")
    assert ran.status == 0, ran.err
    figures = ran.json
    without = figures.pop("without")
    assert {**figures, "seconds": 0} == {**official, "seconds": 0}
    assert json.loads(metrics.read_text(encoding="utf-8"))["images"] == official["images"]
    assert without["boards"] == [board]
    assert set(without) == {
        "boards", "images", "labels", "ap33", "ap33_pooled", "map50", "map50_95", "f_score", "precision", "recall",
        "clean_boards", "false_call_boards",
    }  # fmt: skip
    assert without["images"] == without["clean_boards"] == official["images"] - 1
    assert without["labels"] < official["labels"]
    assert "without 1 of the boards" in " ".join(copperline(*arguments, "--exclude", board).out.split())


def test_an_unknown_board_is_refused_before_the_work(
    arguments: tuple[object, ...], copperline: Run, tmp_path: Path
) -> None:
    ran = copperline(*arguments, "--exclude", "nowhere")
    assert ran.status == 1
    assert "'nowhere'" in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "report").exists()
