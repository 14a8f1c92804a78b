"""Ray's failures in plain words: one line that says what happened to the cluster and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
            said = _SAID.get(kind.__name__)
            if said is not None and kind.__module__.startswith(_PACKAGES) and not _failed_at_start(inner):
                return _told(said, inner)
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


@dataclass(frozen=True, slots=True)
class _Said:
    """What is said of a kind of failure; `{words}` stands for Ray's own, `{node}` for the node that it names."""

    problem: str
    fix: str


_OUT_OF_MEMORY = _Said(
    "the node{node} ran out of memory, and Ray ended a worker there",
    "use fewer workers for each node, smaller batches, or nodes with more memory",
)
_OBJECT_STORE_FULL = _Said(
    "Ray's object store is full of objects that are in use",
    "use smaller batches or fewer workers, or start the nodes with a larger --object-store-memory",
)
_OUT_OF_DISK = _Said(
    "a node's disk is full, so Ray's object store cannot move objects to it",
    "free space below Ray's temporary folder on each node, or start the nodes with another --temp-dir",
)
_WORKER_DIED = _Said(
    "a worker process of the cluster ended unexpectedly ({words})",
    f"start the command again: it goes on where it was; if it happens again, the node may be short of memory; {_LOGS}",
)
_ACTOR_UNAVAILABLE = _Said(
    "a worker of the cluster cannot be reached ({words})",
    "check the network between the nodes, and start the command again",
)
_NODE_DIED = _Said(
    "a node of the cluster died or cannot be reached ({words})",
    "look at it with `ray status`, put another in its place, and start the command again: it goes on where it was",
)
_OBJECT_LOST = _Said(
    "data of the work was lost with the node or worker that held it",
    "start the command again: it goes on where it was",
)
_TIMED_OUT = _Said(
    "the cluster gave no answer in time ({words})",
    "see with `ray status` whether its CPUs and GPUs are taken by other work, and try again",
)
_UNSCHEDULABLE = _Said(
    "no node of the cluster can take the work ({words})",
    "ask for fewer CPUs or GPUs for each worker, or add nodes; `copperline cluster check` shows what is there",
)
_ENVIRONMENT_FAILED = _Said(
    "a node could not set up what the work runs in ({words})",
    "use the same image, or the same installed versions, on each node",
)
_NO_TOKEN = _Said(
    "the cluster asks for its token, and this process has none or another",
    "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to its token unless that is in ~/.ray/auth_token",
)
_SYSTEM_FAILED = _Said(
    "the connection to the cluster, or a part of it, failed ({words})",
    f"see with `ray status` whether it is up, and try again; {_LOGS}",
)

# By name, so that nothing of Ray is imported where nothing of it failed. The first kind of an error's ancestry counts.
_SAID: dict[str, _Said] = {
    "OutOfMemoryError": _OUT_OF_MEMORY,
    "ObjectStoreFullError": _OBJECT_STORE_FULL,
    "OutOfDiskError": _OUT_OF_DISK,
    "WorkerCrashedError": _WORKER_DIED,
    "ActorDiedError": _WORKER_DIED,
    "RayActorError": _WORKER_DIED,
    "WorkerHealthCheckFailedError": _WORKER_DIED,
    "ActorUnavailableError": _ACTOR_UNAVAILABLE,
    "NodeDiedError": _NODE_DIED,
    "LocalRayletDiedError": _NODE_DIED,
    "PreemptionError": _NODE_DIED,
    "ObjectLostError": _OBJECT_LOST,
    "GetTimeoutError": _TIMED_OUT,
    "WorkerHealthCheckTimeoutError": _TIMED_OUT,
    "WorkerGroupStartupTimeoutError": _UNSCHEDULABLE,
    "WorkerGroupStartupFailedError": _WORKER_DIED,
    "InsufficientClusterResourcesError": _UNSCHEDULABLE,
    "CollectiveTimeoutError": _TIMED_OUT,
    "ExecutionTimeoutError": _TIMED_OUT,
    "TaskUnschedulableError": _UNSCHEDULABLE,
    "ActorUnschedulableError": _UNSCHEDULABLE,
    "TaskPlacementGroupRemoved": _UNSCHEDULABLE,
    "ActorPlacementGroupRemoved": _UNSCHEDULABLE,
    "RuntimeEnvSetupError": _ENVIRONMENT_FAILED,
    "AuthenticationError": _NO_TOKEN,
    "RaySystemError": _SYSTEM_FAILED,
    "RpcError": _SYSTEM_FAILED,
}


def no_token(where: str | None = None) -> ClusterError:
    """The cluster asks for a token."""
    return ClusterError(_NO_TOKEN.problem, where=where, fix=_NO_TOKEN.fix)


def _told(said: _Said, error: BaseException) -> ClusterError:
    address = re.search(r"IP: ([\w.:]+)", str(error))
    node = f" {address[1]}" if address else ""
    return ClusterError(said.problem.format(words=_words(error), node=node), fix=said.fix)


def _words(error: BaseException) -> str:
    """Ray's own, as far as they fit in a line."""
    return _shortened(_without_colours(str(error))) or type(error).__name__


def _shortened(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST].rstrip()} ..."


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
