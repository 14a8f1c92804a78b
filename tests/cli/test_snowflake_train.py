from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from copperline.workflows import snowflake_training
from copperline.workflows.snowflake_job import JobResult

pytest.importorskip("snowflake.snowpark", reason="Snowpark is not installed")


def test_a_dry_run_shows_the_call_and_needs_no_account(copperline: Callable[..., Any], tmp_path: Path) -> None:
    ran = copperline(
        "snowflake", "train", "--dry-run", "--json", "--nodes", 2, "--epochs", 3, "--workspace", tmp_path,
        "--external-access", "A", "--external-access", "B",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    call, order = ran.json["submit_directory"], ran.json["order"]
    assert (call["compute_pool"], call["target_instances"], call["min_instances"]) == ("PCB_CV_COMPUTEPOOL", 2, 2)
    assert call["external_access_integrations"] == ["A", "B"]
    assert (order["nodes"], order["config"]["epochs"], order["config"]["batch_size"]) == (2, 3, 44)
    people = copperline("snowflake", "train", "--dry-run", "--workspace", tmp_path)
    assert "external_access_integrations = ['PCB_CV_EXTERNAL_ACCESS']" in people.out
    assert people.out.splitlines()[-1] == "Nothing was sent. Leave --dry-run out to train."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nodes", "3"], "expected at most 2 workers for batches of 44 crops"),
        (["--crop-size", "100"], "expected a crop size that is a multiple of 32, found 100"),
        (["--resume", "../other"], "expected the name of a run, found '../other'"),
        (["--init", "nothing.onnx"], "nothing.onnx"),
        (["--resume", ""], "expected the name of a run, found ''"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_sent(
    copperline: Callable[..., Any], options: list[str], message: str
) -> None:
    ran = copperline("snowflake", "train", "--dry-run", *options)
    assert ran.status == 1
    assert message in ran.err
    assert len(ran.err.splitlines()) == 1


def test_without_credentials_it_says_which_variables_are_missing(
    copperline: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_DEFAULT_CONNECTION_NAME"):
        monkeypatch.delenv(variable, raising=False)
    ran = copperline("snowflake", "train")
    assert ran.status == 1
    assert "set SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER and" in ran.err


def test_a_finished_run_says_what_was_registered_and_what_is_next(
    copperline: Callable[..., Any], container_runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def trained(session: Any, order: Any, access: Any, waiting: Any, tell: Any, *, init: Path | None) -> JobResult:
        given.extend([session, order, access, waiting, init])
        figures = {"map50": 0.987, "map50_95": None}
        return JobResult(
            model="YOLO_PCB_DETECTOR", model_version="4", aliases=("challenger",), run=order.run, train_seconds=60.0,
            validation=figures,
        )  # fmt: skip

    monkeypatch.setattr(snowflake_training, "train_on_snowflake", trained)
    ran = copperline("snowflake", "train", "--resume", "20260102-0304-ab", "--time-limit", "2", "--retries", 5)
    assert ran.status == 0, ran.err
    assert ran.out.splitlines()[:3] == [
        "Registered YOLO_PCB_DETECTOR version 4 (challenger) in the account.",
        "Validation: mAP50 98.7 %, mAP50:95 not measured.",
        "Checkpoint and model: @MODEL_STAGE/training/20260102-0304-ab.",
    ]
    session, order, access, waiting, init = given
    assert init is None
    assert session is container_runtime.session
    assert (order.run, access) == ("20260102-0304-ab", ["PCB_CV_EXTERNAL_ACCESS"])
    assert (waiting.limit_s, waiting.retries, waiting.log) == (7200, 5, None)
    given.clear()
    as_json = copperline("snowflake", "train", "--json", "--init", "builtin:deeppcb", "--epochs", 2)
    assert as_json.json["model_version"] == "4"
    config, init = given[1].config, given[-1]
    assert (config.network, config.init.split()[0], config.epochs) == ("yolo12-pico-wide", "deeppcb", 2)
    assert (config.learning_rate, config.crops_per_pair) == (0.001, 12)  # as `copperline train --init` does it
    assert init.name == "deeppcb.onnx"


def test_ctrl_c_says_how_to_go_on(
    copperline: Callable[..., Any], container_runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(snowflake_training, "train_on_snowflake", interrupted)
    ran = copperline("snowflake", "train", "--resume", "run-1")
    assert ran.status == 130
    assert "Stopped, and the job is cancelled. To go on from its checkpoint, if it has one: --resume run-1" in ran.err
