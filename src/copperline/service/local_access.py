"""Without keys the service answers this machine alone; here is what keeps others out who come through it.

A browser on this machine can be made to send requests by any web page that it shows. A page whose name was made to
point to 127.0.0.1 (DNS rebinding) still sends its own name as Host; a form or script of another page tells where it is
from in Origin or Sec-Fetch-Site. A reverse proxy on this machine tells of itself in Forwarded or X-Forwarded-For.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from copperline.service.problems import Problem

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OF_A_PROXY = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "plant-pc", "localhost.evil.com")]
    [True, True, True, False, False, False]
    """
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_strangers(method: str, headers: Mapping[str, str], *, loopback: bool) -> None:
    """Raises Problem 403 for a request that a service without keys must not answer.

    Args:
        headers: by their names in lower case, or where the case does not matter.
        loopback: the service listens on loopback alone: Host must be a name of it, and no proxy may stand before it.
            Otherwise it was opened to a network on purpose, and only pages of other origins are kept out.
    """
    host = headers.get("host", "")
    if loopback:
        if not is_loopback(_host_name(host)):
            raise _foreign(f"expected a name of this machine such as localhost as Host, found {host[:100]!r}")
        if proxy := next((name for name in _OF_A_PROXY if name in headers), None):
            raise _foreign(f"expected a request from this machine, found {proxy}, which a proxy has added")
    if method in SAFE_METHODS:
        return
    site = headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin"):
        raise _foreign(f"expected no request from another web page, found Sec-Fetch-Site {site[:20]!r}")
    origin = headers.get("origin")
    if origin is not None and not _is_own(origin, host):
        raise _foreign(f"expected no request from another web page, found Origin {origin[:100]!r}")


def _is_own(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower() != ""
    except ValueError:
        return False


def _host_name(host: str) -> str:
    """Without the port; empty if it is no host."""
    try:
        return urlsplit(f"//{host}").hostname or "" if "@" not in host else ""
    except ValueError:
        return ""


def _foreign(found: str) -> Problem:
    return Problem(
        403,
        "not-local",
        "Without keys the service answers this machine alone",
        f"{found}; make a key with `copperline keys create`, after which every request needs one",
    )
