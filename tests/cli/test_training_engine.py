"""The options of `copperline train` that say where the workers run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from copperline.cli.training_engine import EngineName, chosen_engine, told_how_to_resume
from copperline.errors import SettingsError, SnowflakeError, TrainingError
from copperline.settings import Settings
from copperline.training import LocalWorkers, RayWorkers, SnowflakeWorkers, ThisProcess

NOTHING: dict[str, Any] = {
    "engine": None,
    "workers": None,
    "gpus_per_worker": None,
    "min_workers": None,
    "max_failures": None,
    "address": None,
}


@pytest.fixture(autouse=True)
def no_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)


def test_without_options_training_is_done_in_this_process() -> None:
    settings = Settings(threads=2)
    assert chosen_engine(settings, **NOTHING) == ThisProcess(2)
    assert chosen_engine(settings, **{**NOTHING, "engine": EngineName.LOCAL, "workers": 1}) == ThisProcess(2)
    assert chosen_engine(settings, **{**NOTHING, "gpus_per_worker": 0}) == ThisProcess(2, "cpu")


def test_several_workers_or_restarts_are_processes_of_this_machine() -> None:
    settings = Settings(threads=4, training_stall_s=60)
    assert chosen_engine(settings, **{**NOTHING, "workers": 2}) == LocalWorkers(2, 4, None, 3, 60)
    one = chosen_engine(settings, **{**NOTHING, "max_failures": 5, "gpus_per_worker": 0})
    assert one == LocalWorkers(1, 4, "cpu", 5, 60)


def test_a_cluster_may_use_all_its_cores_unless_the_settings_say_otherwise() -> None:
    on_ray = {**NOTHING, "engine": EngineName.RAY, "workers": 4, "min_workers": 2}
    here = chosen_engine(Settings(threads=4), **on_ray)
    assert here == RayWorkers(4, None, cores=4, min_workers=2)
    there = {**on_ray, "address": "10.0.0.7:6379"}
    assert chosen_engine(Settings(threads=0), **there) == RayWorkers(4, "10.0.0.7:6379", min_workers=2)
    assert chosen_engine(Settings(threads=3), **there) == RayWorkers(4, "10.0.0.7:6379", cores=3, min_workers=2)


def test_snowflakes_workers_are_for_its_container_runtime_alone(request: pytest.FixtureRequest) -> None:
    options = {**NOTHING, "engine": EngineName.SNOWFLAKE, "workers": 2, "max_failures": 1}
    with pytest.raises(SnowflakeError, match=r"found no snowflake\.ml.* use `copperline snowflake train`"):
        chosen_engine(Settings(), **options)
    request.getfixturevalue("container_runtime")
    settings = Settings(training_stall_s=60)
    found = chosen_engine(settings, **{**options, "gpus_per_worker": 0})
    assert found == SnowflakeWorkers(
        settings.snowflake, workers_per_node=2, gpus_per_worker=0, max_failures=1, stall_s=60
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_workers": 1, "workers": 2}, "expected --min-workers with --engine ray alone"),
        ({"address": "10.0.0.7:6379"}, "expected --address with --engine ray alone"),
        ({"engine": EngineName.RAY, "workers": 2, "min_workers": 3}, "--min-workers of at most --workers, 2, found 3"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        chosen_engine(Settings(), **{**NOTHING, **options})


def test_gpus_that_are_not_there_are_missed_before_anything_is_started() -> None:
    with pytest.raises(TrainingError, match="expected a GPU for each of 64 workers on this machine, found"):
        chosen_engine(Settings(), **{**NOTHING, "workers": 64, "gpus_per_worker": 1})


@pytest.mark.parametrize("option", [{"engine": EngineName.LOCAL}, {"workers": 2}, {"max_failures": 1}])
def test_under_torchrun_it_alone_says_how_many_workers_there_are(
    option: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert chosen_engine(Settings(threads=2), **NOTHING) == ThisProcess(2)
    name = next(iter(option)).replace("_", "-")
    with pytest.raises(SettingsError, match=f"expected no --{name} under torchrun"):
        chosen_engine(Settings(), **{**NOTHING, **option})


def test_no_cluster_at_the_address_is_one_line(copperline: Callable[..., Any], demo: Any, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    ran = copperline(
        "train", "--data", demo.data, "--workspace", tmp_path, "--engine", "ray", "--address", "127.0.0.1:1"
    )
    assert ran.status == 1
    (line,) = [line for line in ran.err.splitlines() if line.startswith("error:")]
    assert line.startswith("error: 127.0.0.1:1: expected a Ray cluster, found nothing that listens there")


def test_more_workers_than_a_batch_can_be_shared_among_is_one_line(
    copperline: Callable[..., Any], demo: Any, tmp_path: Path
) -> None:
    ran = copperline("train", "--data", demo.data, "--workspace", tmp_path, "--workers", 3)
    assert ran.status == 1
    assert ran.err.splitlines()[-1].startswith("error: expected at most 2 workers for batches of 44 crops")


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_whoever_stops_a_run_is_told_how_to_go_on(
    ending: type[BaseException], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ending), told_how_to_resume(tmp_path):
        raise ending
    assert capsys.readouterr().err == ""  # nothing to go on from
    (tmp_path / "checkpoint.pt").touch()
    with pytest.raises(ending), told_how_to_resume(tmp_path):
        raise ending
    assert f"--resume {tmp_path} to go on" in capsys.readouterr().err
