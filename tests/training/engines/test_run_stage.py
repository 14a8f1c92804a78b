"""Files of a run on the stage of Snowpark's local testing."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

from copperline.errors import DataError, SettingsError, SnowflakeError, TrainingError
from copperline.snowflake_settings import SnowflakeSettings
from copperline.stage import StagePath
from copperline.training.engines.reports import EpochDone, Met, StepDone
from copperline.training.engines.run_stage import RunStage, StageReader, StageReports, run_location
from copperline.training.engines.snowflake_order import SnowflakeOrder

LOCATION = run_location(SnowflakeSettings(), "run")
TRIES = 3


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
    session.file.put_stream.side_effect = [OperationalError("250003: no route to host")] * times + [[]]
    session.file.get.side_effect = OperationalError("250003: no route to host")
    return session


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copperline.stage.snowflake_files._PAUSE_S", 0.0)


def test_a_cut_of_the_network_is_waited_for_and_then_told(tmp_path: Path, no_pauses: None) -> None:
    pytest.importorskip("snowflake.snowpark", reason="Snowpark is not installed")
    (path := tmp_path / "a.txt").touch()
    session = refusing(TRIES - 1)
    RunStage(session, LOCATION).put(path)
    assert session.file.put_stream.call_count == TRIES
    with pytest.raises(SnowflakeError, match=r"run/a\.txt: .*no route to host"):
        RunStage(refusing(TRIES), LOCATION).put(path)
    with pytest.raises(SnowflakeError, match=r"run/a\.txt: .*no route to host"):
        RunStage(session, LOCATION).get("a.txt", tmp_path)
    assert session.file.get.call_count == TRIES


def test_what_the_account_refuses_is_not_taken_for_a_missing_file(tmp_path: Path) -> None:
    pytest.importorskip("snowflake.snowpark", reason="Snowpark is not installed")
    from snowflake.connector.errors import ProgrammingError

    session = refusing(0)
    session.file.get.side_effect = ProgrammingError("Stage 'MODEL_STAGE' does not exist or not authorized.", errno=2003)
    for ask in (lambda stage: stage.get("a.txt", tmp_path), lambda stage: stage.is_to_stop("start-1")):
        with pytest.raises(SnowflakeError, match="not there, or hidden from the role"):
            ask(RunStage(session, LOCATION))
    assert session.file.get.call_count == 2


@pytest.mark.parametrize("error", [None, OSError(5, "Input/output error")])
def test_a_report_that_does_not_arrive_does_not_end_a_run(
    tmp_path: Path, no_pauses: None, capsys: pytest.CaptureFixture[str], error: OSError | None
) -> None:
    pytest.importorskip("snowflake.snowpark", reason="Snowpark is not installed")
    session = refusing(TRIES)
    if error is not None:
        session.file.put_stream.side_effect = error
    StageReports(RunStage(session, LOCATION), tmp_path, "start-1", 0)(Met(2))
    assert session.file.put_stream.call_count == TRIES
    assert (error.strerror if error else "no route to host") in capsys.readouterr().err


def test_a_failed_download_leaves_the_checkpoint_that_is_here(
    container_runtime: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = RunStage(container_runtime.session, LOCATION)
    (sent := tmp_path / "checkpoint.pt").write_text("new")
    stage.put(sent)
    (here := tmp_path / "here" / "checkpoint.pt").parent.mkdir()
    here.write_text("old")

    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as opened:
            opened.write(data[:1])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as cut:
        cut.setattr(Path, "write_bytes", full)
        with pytest.raises(DataError, match="No space left on device"):
            stage.get("checkpoint.pt", here.parent)
    assert [(path.name, path.read_text()) for path in here.parent.iterdir()] == [("checkpoint.pt", "old")]
    stage.get("checkpoint.pt", here.parent)
    assert here.read_text() == "new"


@pytest.mark.parametrize("name", ["PCB_CV", 'Line "1"; DROP', "línea 1"])
def test_workers_find_the_run_by_the_text_that_they_are_given(
    container_runtime: Any, tmp_path: Path, name: str
) -> None:
    location = run_location(SnowflakeSettings(database=name, stage=name), "run")
    assert StagePath.parse(str(location)) == location
    stage = RunStage(container_runtime.session, location)
    (sent := tmp_path / "a.onnx").write_text("model")
    stage.put(sent, name="init.onnx")
    got = RunStage(container_runtime.session, StagePath.parse(str(location))).get("init.onnx", tmp_path / "got")
    assert got is not None and got.read_text() == "model"


def test_a_run_or_stage_whose_name_leads_elsewhere_is_refused() -> None:
    for run in ("../other", "it's", "/other"):
        with pytest.raises(DataError, match="expected a path that a stage can have"):
            run_location(SnowflakeSettings(), run)
    with pytest.raises(SettingsError, match="no slash, found 'a/b'"):
        run_location(SnowflakeSettings(stage="a/b"), "run")


def test_parameters_of_somebody_else_are_no_order() -> None:
    for given in (None, {}, {"copperline": "{}"}, {"epochs": "3"}):
        with pytest.raises(TrainingError, match="no order that it understands"):
            SnowflakeOrder.of_hyper_params(given)
