"""Servers on this machine: where to listen, and one that is up while a block runs."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from copperline.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens.

    Attributes:
        host: anything but loopback lets other machines in.
        port: TCP port, 0 to 65535; 0: any free one.
    """

    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """For people and programs on this machine.

        >>> Address("0.0.0.0", 8501).url, Address("fd00::7", 8501).url
        ('http://localhost:8501', 'http://[fd00::7]:8501')
        """
        host = "localhost" if self.is_local or self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def listen(host: str, port: int, backlog: int | None = None) -> socket.socket:
    """A socket that takes connections there; raises SettingsError if none can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=backlog)
    except (OSError, UnicodeError) as error:
        # UnicodeError: what can be no host name at all, such as `a..b`.
        reason = error.strerror if isinstance(error, OSError) else "not a host name"
        raise SettingsError(
            f"expected an address that can be listened on, found that it cannot ({reason})",
            where=f"{host}:{port}",
            fix="choose another with --host or --port, or end the program that has it",
        ) from error


def require_free(host: str, port: int) -> None:
    """Raises SettingsError unless a server could listen there now."""
    listen(host, port).close()


def free_port(first: int, tries: int = 50) -> int:
    """The first port of loopback that nobody has, from `first` on; raises SettingsError if there is none."""
    for port in range(first, first + tries - 1):
        try:
            require_free("127.0.0.1", port)
        except SettingsError:
            continue
        return port
    require_free("127.0.0.1", first + tries - 1)
    return first + tries - 1


@contextmanager
def served(
    command: Sequence[str],
    environment: Mapping[str, str],
    health_url: str,
    *,
    by_hand: str,
    start_seconds: float = 60.0,
    stop_seconds: float = 10.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """The process of a server that answers, while the block runs.

    Args:
        command: that serves.
        environment: of the process.
        health_url: answers with a status below 400 when the server is ready.
        by_hand: the command by which people see why it does not start.

    Raises:
        SettingsError: it did not come up.
    """
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with ended_afterwards(process, stop_seconds):
        wait_until_healthy(process, health_url, by_hand=by_hand, seconds=start_seconds)
        yield process


@contextmanager
def ended_afterwards(process: subprocess.Popen[Any], stop_seconds: float) -> Iterator[None]:
    """Asks the process to end when the block does, and makes it end if it has not after so many seconds."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_healthy(process: subprocess.Popen[Any], url: str, *, by_hand: str, seconds: float = 60.0) -> None:
    """Returns when the server answers; raises SettingsError when it has ended or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError as error:  # urllib's errors are of this kind
            if time.monotonic() > deadline or process.poll() is not None:
                raise SettingsError(
                    f"expected the server to answer within {seconds:.0f} s, found that it does not",
                    where=url,
                    fix=f"run `{by_hand}` to see why",
                ) from error
        time.sleep(0.1)
