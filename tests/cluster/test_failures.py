"""What Ray fails with becomes one line; what a task failed with comes back as it was."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from copperline import errors
from copperline.cluster import explained, ray_errors, ray_session
from copperline.errors import ClusterError, CopperlineError, DataError, ServiceError

ray = pytest.importorskip("ray", reason="Ray is not installed")
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CopperlineError)]


@pytest.fixture(scope="module")
def session(ray_folder: Path) -> Iterator[None]:
    with ray_session(None, cpus=2, object_store_mib=80):
        yield


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_the_same_after_a_journey_between_processes(kind: type[CopperlineError]) -> None:
    error = kind("expected 5, found 4", where="a.txt", fix="correct it")
    if kind is ServiceError:
        error = ServiceError("expected 5, found 4", where="a.txt", fix="correct it", status=429, kind="queue-full")
    else:
        error.line = 3
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is kind
    assert str(other) == str(error)
    assert vars(other) == vars(error)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_ours_in_a_task_is_that_very_error(session: None, kind: type[CopperlineError]) -> None:
    @ray.remote(num_cpus=0)
    def fail() -> None:
        raise kind("expected 5, found 4", where="a.txt", fix="correct it")

    with pytest.raises(kind) as caught, ray_errors():
        ray.get(fail.remote(), timeout=60)
    assert type(caught.value) is kind
    assert str(caught.value) == "a.txt: expected 5, found 4; correct it"


def test_an_error_of_ours_in_a_task_of_a_task_is_found(session: None) -> None:
    @ray.remote(num_cpus=0)
    def inner() -> None:
        raise DataError("expected 5, found 4")

    @ray.remote(num_cpus=0)
    def outer() -> None:
        ray.get(inner.remote())

    with pytest.raises(DataError) as caught, ray_errors():
        ray.get(outer.remote(), timeout=60)
    assert str(caught.value) == "expected 5, found 4"


def test_an_error_of_ours_in_the_start_of_an_actor_is_found(session: None) -> None:
    @ray.remote(num_cpus=0)
    class Broken:
        def __init__(self) -> None:
            raise DataError("expected a model, found none", where="m.onnx")

        def work(self) -> None: ...

    with pytest.raises(DataError) as caught, ray_errors():
        ray.get(Broken.remote().work.remote(), timeout=60)
    assert str(caught.value) == "m.onnx: expected a model, found none"


def test_any_other_error_in_a_task_is_named_in_one_line(session: None) -> None:
    @ray.remote(num_cpus=0)
    def fail() -> None:
        raise ZeroDivisionError("division by\nzero")

    with pytest.raises(ClusterError, match="failed with ZeroDivisionError: division by") as caught, ray_errors():
        ray.get(fail.remote(), timeout=60)
    assert "\n" not in str(caught.value)


def test_a_worker_that_ends_is_told(session: None) -> None:
    @ray.remote(num_cpus=0, max_retries=0)
    def end() -> None:
        os._exit(3)

    with pytest.raises(ClusterError, match="a worker process of the cluster ended unexpectedly"), ray_errors():
        ray.get(end.remote(), timeout=60)


def test_an_actor_that_ends_is_told(session: None) -> None:
    @ray.remote(num_cpus=0)
    class Ending:
        def work(self) -> None:
            os._exit(3)

    with pytest.raises(ClusterError, match="a worker process of the cluster ended unexpectedly"), ray_errors():
        ray.get(Ending.remote().work.remote(), timeout=60)


def test_a_wait_that_is_over_is_told(session: None) -> None:
    @ray.remote(num_cpus=0)
    def sleep() -> None:
        time.sleep(60)

    asked = sleep.remote()
    with pytest.raises(ClusterError, match="gave no answer in time"), ray_errors():
        ray.get(asked, timeout=0.5)
    ray.cancel(asked, force=True)


def test_work_for_a_node_that_is_gone_is_told(session: None) -> None:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    @ray.remote(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy("ab" * 28, soft=False))
    def work() -> None: ...

    with pytest.raises(ClusterError, match="no node of the cluster can take the work"), ray_errors():
        ray.get(work.remote(), timeout=60)


@pytest.mark.parametrize("original", [False, True])
def test_an_error_of_ours_in_ray_data_is_that_very_error(session: None, original: bool) -> None:
    data = pytest.importorskip("ray.data")
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.raise_original_map_exception = original

    def fail(batch: Any) -> Any:
        raise DataError("expected an image, found none", where="a.png", fix="take it anew")

    with pytest.raises(DataError) as caught, ray_errors():
        data.range(4, override_num_blocks=1).map_batches(fail).take_all()
    assert type(caught.value) is DataError
    assert str(caught.value) == "a.png: expected an image, found none; take it anew"


def _constructed() -> list[tuple[Exception, str]]:
    """Those that cannot be brought about here within seconds."""
    from ray import exceptions
    from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError, WorkerHealthCheckFailedError
    from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

    out_of_memory = exceptions.OutOfMemoryError("Task was killed due to the node running low on memory.\nIP: 10.0.0.7")
    return [
        (out_of_memory, "10.0.0.7 ran out of memory"),
        (exceptions.ObjectStoreFullError("full"), "object store is full"),
        (exceptions.OutOfDiskError("full"), "disk is full"),
        (exceptions.NodeDiedError("node 10.0.0.7 died"), "node 10.0.0.7 died"),
        (exceptions.LocalRayletDiedError(), "node of the cluster died"),
        (exceptions.ActorUnavailableError("no route", None), "cannot be reached"),
        (exceptions.RuntimeEnvSetupError("no such image"), "no such image"),
        (exceptions.AuthenticationError("no token"), "RAY_AUTH_TOKEN"),
        (exceptions.RaySystemError(OSError("broken pipe")), "broken pipe"),
        (exceptions.OwnerDiedError("ab", None, ""), "was lost"),
        (exceptions.PendingCallsLimitExceeded("too many"), "too many"),
        (WorkerGroupError("rank 1", {1: out_of_memory}), "ran out of memory"),
        (
            WorkerGroupError(
                "rank 1", {1: WorkerHealthCheckFailedError("no answer", exceptions.NodeDiedError("gone"))}
            ),
            "gone",
        ),
        (ControllerError(WorkerGroupStartupTimeoutError(4)), "no node of the cluster can take the work"),
        (ControllerError(ValueError("odd")), "odd"),
    ]


def test_each_failure_is_one_line_that_says_what_to_do() -> None:
    for error, words in _constructed():
        line = explained(error)
        assert type(line) is ClusterError, error
        assert words in str(line), error
        assert "\n" not in str(line), error
        assert line.fix, error
        assert len(str(line)) < 700, error


def test_a_worker_of_ray_train_that_fails_with_an_error_of_ours_gives_that_error() -> None:
    from ray.train.v2._internal.exceptions import UserExceptionWithTraceback
    from ray.train.v2.api.exceptions import WorkerGroupError

    own = DataError("expected 5, found 4")
    wrapped = UserExceptionWithTraceback(own, "Traceback ...\ncopperline.errors.DataError: expected 5, found 4")
    assert explained(WorkerGroupError("rank 0", {0: wrapped})) is own


def test_what_is_not_of_ray_passes() -> None:
    for error in (KeyError("a"), DataError("b"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, ray_errors():
            raise error
        assert caught.value is error
