"""The whole loop, run as a user runs it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from copperline.inspection import Detector
from copperline.registry import Registry, card_measurements, read_run
from copperline.settings import Settings

CONTRACT = {
    "source",
    "train_images",
    "test_images",
    "map50",
    "ap33",
    "train_seconds",
    "model_version",
    "inspections",
    "defect_rows",
    "false_call_boards",
    "clean_boards",
    "database",
    "report",
}


def test_json_has_what_the_contract_names(demo: Any) -> None:
    assert set(demo.result) >= CONTRACT
    assert demo.result["source"] == "path"
    assert demo.result["test_images"] == demo.result["inspections"] == demo.result["clean_boards"] == 4
    assert 0 < demo.result["train_images"] < 12  # the others are validation
    assert "4 boards that it has not seen" in demo.messages


def test_every_board_has_a_row_the_good_ones_too(demo: Any) -> None:
    with closing(sqlite3.connect(demo.result["database"])) as database:
        inspected = {row[0] for row in database.execute("SELECT board_id FROM inspections WHERE station_id = 'demo'")}
        listed = {Path(line.split()[0]).stem for line in (demo.data / "test.txt").read_text().splitlines()}
        assert inspected == listed
        levels = "SELECT MIN(brightness), MAX(brightness), MIN(contrast), COUNT(contrast), COUNT(*) FROM inspections"
        darkest, lightest, flattest, measured, inspected_in_all = database.execute(levels).fetchone()
        assert 0 < darkest <= lightest < 255
        assert flattest > 10
        assert measured == inspected_in_all
        (defects,) = database.execute("SELECT SUM(defect_count) FROM inspections WHERE station_id = 'demo'").fetchone()
        assert defects == demo.result["defect_rows"]
        known = "SELECT COUNT(*) FROM inspections JOIN pcb_metadata USING (board_id) WHERE source = 'simulated'"
        assert database.execute(known).fetchone() == (4,)
        labelled = dict(database.execute("SELECT split, COUNT(*) FROM pcb_labeled_data GROUP BY split"))
        assert labelled["test"] == 4
        assert sum(labelled.values()) == 16


def test_boards_were_inspected_on_the_day_that_they_were_made(demo: Any, copperline: Callable[..., Any]) -> None:
    """At a time of day that follows from the board alone, a second later for each version of the model."""
    query = """SELECT board_id, inspected_at, manufacturing_date, MIN(inference_timestamp), MAX(inference_timestamp)
        FROM inspections JOIN pcb_metadata USING (board_id) LEFT JOIN defect_logs USING (inspection_id, board_id)
        WHERE station_id = 'demo' GROUP BY 1, 2, 3"""
    with closing(sqlite3.connect(demo.result["database"])) as database:
        found = database.execute(query).fetchall()
        (made_on,) = database.execute("SELECT MAX(created_at) FROM pcb_metadata").fetchone()
    assert len(found) == 4
    assert len({inspected_at for _, inspected_at, *_ in found}) == 4
    today = datetime.fromisoformat(made_on).date()
    for board_id, inspected_at, manufactured, first, last in found:
        second = int.from_bytes(hashlib.sha256(f"time:{board_id}".encode()).digest()[:8], "big") % 86_400
        wanted = datetime.fromisoformat(manufactured) + timedelta(seconds=second + int(demo.result["model_version"]))
        assert datetime.fromisoformat(inspected_at) == wanted
        assert timedelta(days=1) <= today - date.fromisoformat(manufactured) <= timedelta(days=14)
        assert {first, last} <= {None, inspected_at}
    checked = copperline("warehouse", "verify", "--workspace", demo.workspace, "--json")
    assert (checked.status, checked.json["stale"]) == (0, [])


def test_model_is_registered_with_its_card(demo: Any) -> None:
    version = Registry(Settings.load(demo.workspace)).get("champion")
    assert str(version.version) == demo.result["model_version"]
    card = version.read_card()
    assert card.parity is not None
    assert card.parity.passed
    assert card.licence == "Apache-2.0"
    assert set(card.metrics["by split"]) == {"validation", "test"}
    assert card.baseline is not None
    assert card.baseline.boards == card.splits["val"].boards
    assert "which the model had not seen" in card.baseline.measured_on
    test, validation = card_measurements(card)
    assert (test.measured_on, validation.measured_on) == ("test", "validation")
    assert test.figures["map50"].value == demo.result["map50"]
    low, high = test.figures["false_call_rate"].interval or (1, 0)
    assert low <= (test.figures["false_call_rate"].value or 0) <= high
    assert set(test.per_class) == set(card.operating_point.thresholds)
    assert set(test.per_class["open"]) == {"labels", "ap50", "ap50_95", "precision", "recall"}
    assert version.run_id is not None
    run = read_run(Settings.load(demo.workspace), version.run_id)
    assert run is not None
    assert (run.status, len(run.curves["loss"])) == ("FINISHED", 1)
    train, val = set(card.splits["train"].groups), set(card.splits["val"].groups)
    assert train
    assert val
    assert not train & val
    saved = json.loads((demo.workspace / "datasets" / "demo-path" / "dataset.json").read_text())
    assert card.data_hash == saved["data_hash"]
    assert hashlib.sha256(version.model_path.read_bytes()).hexdigest() == version.sha256


def test_champion_can_be_loaded_from_python(demo: Any) -> None:
    import copperline

    assert copperline.Detector is Detector
    detector = copperline.Detector.load("champion", settings=Settings.load(demo.workspace))
    assert detector.info.network == "yolo12-pico"
    assert detector.info.parameters <= 500_000


def test_report_is_there_to_look_at(demo: Any) -> None:
    report = Path(demo.result["report"])
    assert report.is_file()
    assert {"metrics.json", "report.html"} <= {path.name for path in report.parent.iterdir()}
    assert len(list(report.parent.rglob("*.png"))) >= 4
    assert "http://" not in report.read_text().replace("http://www.w3.org", "")
