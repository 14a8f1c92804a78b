"""Where a cluster is, and what is found there before Ray itself tries, which would try for long and say little."""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import closing
from dataclasses import dataclass

from copperline.cluster.control_service import ask_versions_of_head, not_ray
from copperline.cluster.nodes import Versions
from copperline.errors import ClusterError, SettingsError

# RFC 9113: what a client begins with, and an empty SETTINGS frame. A server answers with a SETTINGS frame (type 4).
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_HEADER_BYTES, _TYPE, _SETTINGS = 9, 3, 4
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """Of the head's control service (GCS), by default port 6379.

    >>> Address.parse("10.0.0.7:6379")
    Address(host='10.0.0.7', port=6379)
    >>> str(Address.parse("[fd00::7]:6379"))
    '[fd00::7]:6379'
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises SettingsError for all but HOST:PORT."""
        if text.startswith("ray://"):
            raise SettingsError(
                "expected HOST:PORT of the cluster's head, found an address of Ray Client, through which neither "
                "Ray Train nor Ray Data works fully",
                where=text,
                fix="run the command on a node of the cluster, or hand it in with `ray job submit`",
            )
        match = _ADDRESS.fullmatch(text)
        if match is None or not 1 <= int(match["port"]) <= 65535:
            raise SettingsError(
                f"expected HOST:PORT, `auto` or `local`, found {text!r}",
                fix="give the address that `ray start --head` printed, such as 10.0.0.7:6379",
            )
        return cls(match["v6"] or match["host"], int(match["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def of_this_machine() -> Address:
    """What `auto` stands for: RAY_ADDRESS, or else the cluster that `ray start` last started or joined here.

    Raises:
        ClusterError: there is none.
    """
    from ray._private import services

    found = os.environ.get("RAY_ADDRESS") or services.find_bootstrap_address(None)
    if not found:
        raise ClusterError(
            "expected a Ray cluster that this machine is part of, found none",
            fix="start one with `ray start --head`, join one with `ray start --address=HOST:PORT`, or leave the "
            "address out for a Ray of this machine",
        )
    return Address.parse(found)


def require_ray_at(address: Address, timeout_s: float) -> Versions:
    """The versions of the cluster that answers there, and that this machine is a node of.

    Raises:
        ClusterError: nothing answers in time, something else does, or no node of the cluster runs on this machine.
    """
    deadline = time.monotonic() + timeout_s
    _require_http2(address, min(10.0, timeout_s))
    return ask_versions_of_head(str(address), max(1.0, deadline - time.monotonic()))


def _require_http2(address: Address, timeout_s: float) -> None:
    """Tells at once what Ray's own client would try for long: nothing there, or something that is not gRPC."""
    try:
        connection = socket.create_connection((address.host, address.port), timeout=timeout_s)
    except (OSError, UnicodeError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else "not a host name"
        raise ClusterError(
            f"expected a Ray cluster, found nothing that listens there ({reason or 'no answer'})",
            where=str(address),
            fix="check the address; start a head with `ray start --head --port=6379` and let the firewall pass it",
        ) from error
    with closing(connection):
        if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
            return  # below TLS there is no preface to see; Ray's own client is asked next
        connection.settimeout(timeout_s)
        try:
            connection.sendall(_HTTP2_PREFACE)
            header = b""
            while len(header) < _HEADER_BYTES and (more := connection.recv(_HEADER_BYTES - len(header))):
                header += more
        except OSError as error:
            raise not_ray(str(address), "it does not answer as Ray does") from error
    if len(header) < _HEADER_BYTES or header[_TYPE] != _SETTINGS:
        raise not_ray(str(address), "it does not answer as Ray does")
