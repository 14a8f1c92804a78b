"""Ray for as long as a block runs: one of this machine, or a cluster that is joined."""

from __future__ import annotations

import importlib
import logging
import math
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from copperline.cluster.address import Address, of_this_machine, require_ray_at
from copperline.cluster.environment import variables
from copperline.cluster.failures import explained, is_of_ray
from copperline.cluster.nodes import (
    Cluster,
    Versions,
    ask_versions,
    nodes_alive,
    own_versions,
    require_resources,
    require_same_versions,
)
from copperline.errors import ClusterError, SettingsError
from copperline.settings import available_cores

_MIB = 1 << 20
# Ray's sockets are named FOLDER/session_DATE_TIME_PID/sockets/plasma_store; AF_UNIX takes 107 bytes in all.
_LONGEST_FOLDER = 40
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Else whatever asks Ray after a session starts another one, or joins one that it finds; and a process that has
    # joined one is ended by Ray, without a word, a minute after that is gone. Read when Ray is imported.
    "RAY_ENABLE_AUTO_CONNECT": "0",
}


@contextmanager
def ray_session(
    address: str | None,
    *,
    cpus: float = 1,
    gpus: float = 0,
    timeout_s: float = 60,
    logs: Path | None = None,
    object_store_mib: int = 256,
) -> Iterator[Cluster]:
    """Ray, ready for tasks of this process, while the block runs.

    A Ray that this process has already is used as it is and goes on afterwards.

    Args:
        address: HOST:PORT of the head of a cluster that this machine is a node of; `auto`: the one that it is a node
            of; None or `local`: a Ray of this machine alone, which ends with the block.
        cpus: logical CPUs that the work needs in all. A Ray of this machine has at least so many, even if the machine
            has fewer cores.
        gpus: GPUs that the work needs in all.
        timeout_s: after so many seconds a cluster that does not answer is given up.
        logs: folder that the logs of a Ray of this machine are put into in the end; None: they are removed.
        object_store_mib: shared memory for objects of a Ray of this machine, MiB.

    Raises:
        SettingsError: the address cannot be one, or a number is out of its range.
        ClusterError: Ray is not installed, does not answer, or is not a cluster with the same versions and as many
            CPUs and GPUs as are needed.
    """
    _require_sensible(cpus, gpus, timeout_s, object_store_mib)
    deadline = time.monotonic() + timeout_s
    with variables(_QUIET):
        ray = _imported()
        if ray.is_initialized():
            yield _described(_connected(address), is_local=False, cpus=cpus, gpus=gpus, deadline=deadline)
        elif address in (None, "local"):
            with _of_this_machine(cpus, object_store_mib, logs) as found:
                yield _described(found, is_local=True, cpus=cpus, gpus=gpus, deadline=deadline)
        else:
            assert address is not None
            with _joined(address, timeout_s) as found:
                yield _described(found, is_local=False, cpus=cpus, gpus=gpus, deadline=deadline)


def _described(found: Versions, *, is_local: bool, cpus: float, gpus: float, deadline: float) -> Cluster:
    """The cluster that this process is connected to, once it is known to have what is needed."""
    import ray

    try:
        address = ray.get_runtime_context().gcs_address
        cluster = Cluster(address, is_local, found.ray or "", found.python, tuple(nodes_alive()))
        require_resources(cluster, cpus, gpus)
        nodes = ask_versions(cluster.nodes, max(1.0, deadline - time.monotonic()))
    except Exception as error:
        if is_of_ray(error):
            raise explained(error) from error
        raise
    require_same_versions(nodes, own_versions())
    return replace(cluster, nodes=tuple(nodes))


def _connected(address: str | None) -> Versions:
    """Of the Ray that this process has already; raises ClusterError if that is not the one asked for."""
    import ray

    there = ray.get_runtime_context().gcs_address
    if address not in (None, "local", "auto") and not _same(Address.parse(address), Address.parse(there)):
        raise ClusterError(
            f"this process is connected to Ray at {there} already, and can be to one only",
            where=address,
            fix="call ray.shutdown() first",
        )
    own = own_versions()
    return Versions(own.python, own.ray, None)


@contextmanager
def _of_this_machine(cpus: float, object_store_mib: int, logs: Path | None) -> Iterator[Versions]:
    import ray

    folder = Path(tempfile.mkdtemp(prefix="copperline-", dir=_short_folder()))
    # Ray asks whoever connects for this token; without one of ours it would leave one in the home folder.
    token: dict[str, str | None] = {}
    if "RAY_AUTH_MODE" not in os.environ:
        token = {"RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_AUTH_MODE": None}
    try:
        with variables(token):
            try:
                with _sigterm_as_before():
                    _init(
                        None,
                        "see that the machine has memory, disk and loopback ports left, and try again",
                        address="local",
                        num_cpus=max(math.ceil(cpus), available_cores()),
                        object_store_memory=object_store_mib * _MIB,
                        include_dashboard=False,
                        _temp_dir=str(folder),
                    )
                    own = own_versions()
                    yield Versions(own.python, own.ray, None)
            finally:
                ray.shutdown()
    finally:
        _forget_token()
        if logs is not None:
            _keep_logs(folder, logs)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _joined(address: str, timeout_s: float) -> Iterator[Versions]:
    import ray

    head = of_this_machine() if address == "auto" else Address.parse(address)
    found, own = require_ray_at(head, timeout_s), own_versions()
    for name, there, here in (("Ray", found.ray, own.ray), ("Python", found.python, own.python)):
        if there != here:
            raise ClusterError(
                f"expected {name} {here} as on this machine, found that the cluster runs {name} {there}",
                where=str(head),
                fix="install the same versions on all nodes and here, best as one image",
            )
    try:
        with _sigterm_as_before():
            _init(str(head), "see with `ray status` whether it is up, and try again", address=str(head))
            yield found
    finally:
        ray.shutdown()


def _init(where: str | None, fix: str, **options: Any) -> None:
    import ray

    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except (RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
        if is_of_ray(error):
            raise explained(error) from error
        reason = " ".join(str(error.__cause__ or error).split())
        raise ClusterError(f"Ray cannot start or be joined ({reason})", where=where, fix=fix) from error
    if handler is not signal.SIG_DFL:
        _set_sigterm(handler)


def _imported() -> ModuleType:
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise ClusterError(
            "work on a Ray cluster needs Ray, which is not installed", fix="pip install 'copperline[ray]'"
        ) from error


def _require_sensible(cpus: float, gpus: float, timeout_s: float, object_store_mib: int) -> None:
    for name, value, least in (
        ("cpus", cpus, 0),
        ("gpus", gpus, 0),
        ("timeout_s", timeout_s, 1),
        ("object_store_mib", object_store_mib, 75),
    ):
        if not least <= value < math.inf:
            raise SettingsError(f"expected {name} of at least {least}, found {value}", fix="correct it")


def _same(one: Address, other: Address) -> bool:
    """Ray names a cluster by its head's IP address, also where it was joined by `localhost` or a name."""
    return one.port == other.port and (one.host == other.host or _ip_address(one.host) == _ip_address(other.host))


def _ip_address(host: str) -> str:
    from ray._private import services

    try:
        return str(services.resolve_ip_for_localhost(socket.gethostbyname(host)))
    except (OSError, UnicodeError):
        return host  # a name of nothing is the name of no cluster


def _short_folder() -> str:
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) + len("/copperline-12345678") <= _LONGEST_FOLDER else "/tmp"


def _keep_logs(folder: Path, target: Path) -> None:
    for found in sorted(folder.glob("session_2*/logs")):
        shutil.copytree(found, target, dirs_exist_ok=True, ignore_dangling_symlinks=True)


def _forget_token() -> None:
    """Ray has read the token of a session that is over into this process, and would show it to the next cluster."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _sigterm_as_before() -> Iterator[None]:
    """Ray sets a handler of SIGTERM that ends the program, and so cleans up; afterwards the program has its own."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        _set_sigterm(before)


def _set_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)
