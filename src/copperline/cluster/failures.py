"""Ray's failures in plain words: one line that says what happened to the cluster and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from copperline import errors
from copperline.errors import ClusterError, CopperlineError

_OWN: dict[str, type[CopperlineError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, CopperlineError)
}
_LOGS = "the logs are below session_latest/logs of Ray's temporary folder on each node"
_PACKAGES = ("ray.",)
_LONGEST = 300  # characters of Ray's own words that are repeated


@contextmanager
def ray_errors() -> Iterator[None]:
    """Raises what Ray raises inside as a CopperlineError of one line; what is not of Ray passes as it is."""
    try:
        yield
    except CopperlineError as error:
        # Raised in a task, Ray makes it an error of two kinds whose text is a whole traceback.
        if is_of_ray(error):
            raise explained(error) from error
        raise
    except Exception as error:
        if not is_of_ray(error):
            raise
        raise explained(error) from error


def is_of_ray(error: BaseException) -> bool:
    """Whether Ray raised it, as an error of its own."""
    return any(kind.__module__.startswith(_PACKAGES) for kind in type(error).__mro__)


def explained(error: BaseException) -> CopperlineError:
    """What happened and what to do.

    Args:
        error: that Ray raised, or that a worker of Ray Train or a task of Ray Data failed with.

    Returns:
        The very error, if a task failed with one of Copperline's; else a ClusterError.
    """
    if isinstance(error, CopperlineError) and not is_of_ray(error):
        return error
    for inner in _causes(error):
        if isinstance(inner, CopperlineError) and not is_of_ray(inner):
            return inner
    for inner in _causes(error):
        for kind in type(inner).__mro__:
            explain = _EXPLANATIONS.get(kind.__name__)
            if explain is not None and kind.__module__.startswith(_PACKAGES) and not _failed_at_start(inner):
                return explain(inner)
    return _raised_in_task(error) or ClusterError(
        f"Ray failed with {type(error).__name__}: {_words(error)}", fix=f"try again; {_LOGS}"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The innermost first: what a worker failed with says more than that a worker failed."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < 100:
        current = waiting.pop()
        if any(current is known for known in found):
            continue
        found.append(current)
        inner = [current.__cause__, *(getattr(current, name, None) for name in _INNER)]
        workers = getattr(current, "worker_failures", None)
        inner += workers.values() if isinstance(workers, dict) else ()
        waiting += [each for each in inner if isinstance(each, BaseException)]
    return reversed(found)


# Where Ray keeps what an error is about: RayTaskError, Ray Train's controller, its health check, its user code.
_INNER = ("cause", "controller_failure", "health_check_failure", "_base_exc")


def _failed_at_start(error: BaseException) -> bool:
    """Whether it is an actor that died of what its own `__init__` raised."""
    return bool(getattr(error, "actor_init_failed", False))


def _raised_in_task(error: BaseException) -> CopperlineError | None:
    """What the code in a task raised."""
    for inner in _causes(error):
        if not is_of_ray(inner):
            return _task_failed(type(inner).__name__, str(inner))
    # Ray Data, and an actor that fails at its start, keep only the text of it.
    for inner in _causes(error):
        last = _last_raised(str(inner))
        if last is None:
            continue
        name, message = last
        own = _OWN.get(name.removeprefix("copperline.errors.")) if name.startswith("copperline.errors.") else None
        return own(message) if own is not None else _task_failed(name, message)
    return None


def _task_failed(name: str, message: str) -> ClusterError:
    return ClusterError(
        f"a task on the cluster failed with {name}: {_shortened(_without_colours(message))}",
        fix=f"try the same without Ray, which shows where; {_LOGS}",
    )


_RAISED = re.compile(r"^(?P<name>[A-Za-z_][\w.]*(?:Error|Exception|Interrupt)): (?P<message>\S.*)$", re.MULTILINE)
_WRAPPERS = ("ray.", "UserCodeException", "RayDataUserCodeException")


def _last_raised(traceback: str) -> tuple[str, str] | None:
    """Name and message of the last error of a chain that is not Ray's own."""
    raised = [match.group("name", "message") for match in _RAISED.finditer(_without_colours(traceback))]
    return next(((name, message) for name, message in reversed(raised) if not name.startswith(_WRAPPERS)), None)


def _out_of_memory(error: BaseException) -> CopperlineError:
    address = re.search(r"IP: ([\w.:]+)", str(error))
    return ClusterError(
        f"the node{f' {address[1]}' if address else ''} ran out of memory, and Ray ended a worker there",
        fix="use fewer workers for each node, smaller batches, or nodes with more memory",
    )


def _object_store_full(error: BaseException) -> CopperlineError:
    return ClusterError(
        "Ray's object store is full of objects that are in use",
        fix="use smaller batches or fewer workers, or start the nodes with a larger --object-store-memory",
    )


def _out_of_disk(error: BaseException) -> CopperlineError:
    return ClusterError(
        "a node's disk is full, so Ray's object store cannot move objects to it",
        fix="free space below Ray's temporary folder on each node, or start the nodes with another --temp-dir",
    )


def _worker_died(error: BaseException) -> CopperlineError:
    return ClusterError(
        f"a worker process of the cluster ended unexpectedly ({_words(error)})",
        fix=f"start the command again: it goes on where it was; if it happens again, the node may be short of memory; "
        f"{_LOGS}",
    )


def _actor_unavailable(error: BaseException) -> CopperlineError:
    return ClusterError(
        f"a worker of the cluster cannot be reached ({_words(error)})",
        fix="check the network between the nodes, and start the command again",
    )


def _node_died(error: BaseException) -> CopperlineError:
    return ClusterError(
        f"a node of the cluster died or cannot be reached ({_words(error)})",
        fix="look at it with `ray status`, put another in its place, and start the command again: it goes on where it "
        "was",
    )


def _object_lost(error: BaseException) -> CopperlineError:
    return ClusterError(
        "data of the work was lost with the node or worker that held it",
        fix="start the command again: it goes on where it was",
    )


def _timed_out(error: BaseException) -> CopperlineError:
    return ClusterError(
        f"the cluster gave no answer in time ({_words(error)})",
        fix="see with `ray status` whether its CPUs and GPUs are taken by other work, and try again",
    )


def _unschedulable(error: BaseException) -> CopperlineError:
    return ClusterError(
        f"no node of the cluster can take the work ({_words(error)})",
        fix="ask for fewer CPUs or GPUs for each worker, or add nodes; `copperline cluster check` shows what is there",
    )


def _environment_failed(error: BaseException) -> CopperlineError:
    return ClusterError(
        f"a node could not set up what the work runs in ({_words(error)})",
        fix="use the same image, or the same installed versions, on each node",
    )


def _authentication_failed(error: BaseException) -> CopperlineError:
    return ClusterError(
        "the cluster asks for its token, and this process has none or another",
        fix="set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to its token unless that is in ~/.ray/auth_token",
    )


def _system_failed(error: BaseException) -> CopperlineError:
    return ClusterError(
        f"the connection to the cluster, or a part of it, failed ({_words(error)})",
        fix=f"see with `ray status` whether it is up, and try again; {_LOGS}",
    )


# By name, so that nothing of Ray is imported where nothing of it failed. The first kind of an error's ancestry counts.
_EXPLANATIONS: dict[str, Callable[[BaseException], CopperlineError]] = {
    "OutOfMemoryError": _out_of_memory,
    "ObjectStoreFullError": _object_store_full,
    "OutOfDiskError": _out_of_disk,
    "WorkerCrashedError": _worker_died,
    "ActorDiedError": _worker_died,
    "RayActorError": _worker_died,
    "WorkerHealthCheckFailedError": _worker_died,
    "ActorUnavailableError": _actor_unavailable,
    "NodeDiedError": _node_died,
    "LocalRayletDiedError": _node_died,
    "PreemptionError": _node_died,
    "ObjectLostError": _object_lost,
    "GetTimeoutError": _timed_out,
    "WorkerHealthCheckTimeoutError": _timed_out,
    "WorkerGroupStartupTimeoutError": _unschedulable,
    "WorkerGroupStartupFailedError": _worker_died,
    "InsufficientClusterResourcesError": _unschedulable,
    "CollectiveTimeoutError": _timed_out,
    "ExecutionTimeoutError": _timed_out,
    "TaskUnschedulableError": _unschedulable,
    "ActorUnschedulableError": _unschedulable,
    "TaskPlacementGroupRemoved": _unschedulable,
    "ActorPlacementGroupRemoved": _unschedulable,
    "RuntimeEnvSetupError": _environment_failed,
    "AuthenticationError": _authentication_failed,
    "RaySystemError": _system_failed,
    "RpcError": _system_failed,
}


def _words(error: BaseException) -> str:
    """Ray's own, as far as they fit in a line."""
    return _shortened(_without_colours(str(error))) or type(error).__name__


def _shortened(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST].rstrip()} ..."


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
