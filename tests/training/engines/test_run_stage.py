"""Files of a run on the stage of Snowpark's local testing."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

from copperline.errors import SnowflakeError, TrainingError
from copperline.snowflake_settings import SnowflakeSettings
from copperline.training.engines import run_stage
from copperline.training.engines.reports import EpochDone, Met, StepDone
from copperline.training.engines.run_stage import RunStage, StageReader, StageReports, run_location
from copperline.training.engines.snowflake_order import SnowflakeOrder

LOCATION = run_location(SnowflakeSettings(), "run")


def test_a_file_comes_back_and_one_that_is_not_there_is_none(container_runtime: Any, tmp_path: Path) -> None:
    stage = RunStage(container_runtime.session, LOCATION)
    (sent := tmp_path / "a.txt").write_text("one")
    assert stage.get("a.txt", tmp_path / "got") is None
    stage.put(sent)
    got = stage.get("a.txt", tmp_path / "got")
    assert got is not None and got.read_text() == "one"
    sent.write_text("two")
    stage.put(sent)
    assert stage.get("a.txt", tmp_path / "got") == got
    assert got.read_text() == "two"
    assert stage.checkpoint(tmp_path) is None


def test_a_request_to_stop_is_for_one_start(container_runtime: Any) -> None:
    stage = RunStage(container_runtime.session, LOCATION)
    stage.ask_to_stop("start-1")
    assert stage.is_to_stop("start-1")
    assert not stage.is_to_stop("start-2")


def test_steps_wait_for_what_is_sent_at_once_and_all_are_read_once(container_runtime: Any, tmp_path: Path) -> None:
    stage = RunStage(container_runtime.session, LOCATION)
    (worker := tmp_path / "worker").mkdir()
    send, read = StageReports(stage, worker, "start-1", 0), StageReader(stage, tmp_path / "here", "start-1", 0)
    assert read() == []
    send(Met(2))
    send(StepDone(1, 9, 0.5))
    assert read() == [Met(2)]
    send(EpochDone(1, {"loss": 0.5}))
    assert read() == [StepDone(1, 9, 0.5), EpochDone(1, {"loss": 0.5})]
    assert read() == []


def refusing(times: int) -> Any:
    """A session whose first uploads fail, as without a network."""
    from snowflake.connector.errors import OperationalError
    from snowflake.snowpark import Session
    from snowflake.snowpark.file_operation import FileOperation

    session = create_autospec(Session, instance=True)
    session.file = create_autospec(FileOperation, instance=True)
    session.file.put.side_effect = [OperationalError("250003: no route to host")] * times + [[]]
    session.file.get.side_effect = OperationalError("250003: no route to host")
    return session


def test_a_cut_of_the_network_is_waited_for_and_then_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("snowflake.snowpark", reason="Snowpark is not installed")
    monkeypatch.setattr(run_stage, "PAUSE_S", 0.01)
    (path := tmp_path / "a.txt").touch()
    session = refusing(run_stage.TRIES - 1)
    RunStage(session, LOCATION).put(path)
    assert session.file.put.call_count == run_stage.TRIES
    with pytest.raises(SnowflakeError, match=r"run: .*no route to host"):
        RunStage(refusing(run_stage.TRIES), LOCATION).put(path)
    with pytest.raises(SnowflakeError, match=r"a\.txt: .*no route to host"):
        RunStage(refusing(0), LOCATION).get("a.txt", tmp_path)


def test_a_report_that_does_not_arrive_does_not_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("snowflake.snowpark", reason="Snowpark is not installed")
    monkeypatch.setattr(run_stage, "PAUSE_S", 0.01)
    StageReports(RunStage(refusing(run_stage.TRIES), LOCATION), tmp_path, "start-1", 0)(Met(2))
    assert "no route to host" in capsys.readouterr().err


def test_parameters_of_somebody_else_are_no_order() -> None:
    for given in (None, {}, {"copperline": "{}"}, {"epochs": "3"}):
        with pytest.raises(TrainingError, match="no order that it understands"):
            SnowflakeOrder.of_hyper_params(given)
