"""How many servers a stream of work needs, so that it neither piles up nor waits too long: Erlang's formulas."""

from __future__ import annotations

import math

from copperline.errors import SettingsError


def erlang_b(servers: int, load: float) -> float:
    """The probability that all servers are busy where nothing waits (M/M/c/c), in [0, 1].

    Args:
        servers: c >= 0.
        load: a = arrivals a second x seconds of service, in erlangs, >= 0.

    By the recursion B(0) = 1, B(c) = a B(c-1) / (c + a B(c-1)), which neither overflows nor cancels and follows from
    Erlang's loss formula: L. Kleinrock, Queueing Systems, vol. 1, 1975, section 3.7.

    >>> round(erlang_b(2, 1.0), 3)
    0.2
    """
    if servers < 0 or not 0 <= load < math.inf:
        raise SettingsError(f"expected servers >= 0 and a load >= 0, found {servers} and {load}", fix="correct them")
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """The probability that work has to wait (M/M/c), in [0, 1]; 1 where the load is as much as the servers or more.

    C = B / (1 - (a / c) (1 - B)) with B of `erlang_b`: Kleinrock, section 3.5.

    >>> round(erlang_c(2, 1.0), 3)
    0.333
    """
    blocked = erlang_b(servers, load)
    if load >= servers:
        return 1.0 if load > 0 else 0.0
    return blocked / (1 - load / servers * (1 - blocked))


def mean_wait_s(servers: int, arrivals_per_s: float, service_s: float) -> float:
    """The mean wait before the service begins (M/M/c), in seconds; infinite where work piles up.

    W = C(c, a) s / (c - a). An inspection takes almost the same time for each board and lines hand them in at almost
    regular times, so a real wait is shorter: half of this, if only the first were so (M/D/c under heavy load).

    >>> round(mean_wait_s(2, 1.0, 1.0), 3)
    0.333
    """
    load = arrivals_per_s * service_s
    if load == 0:
        return 0.0
    if load >= servers:
        return math.inf
    return erlang_c(servers, load) * service_s / (servers - load)


def servers_needed(arrivals_per_s: float, service_s: float, utilisation: float, longest_mean_wait_s: float) -> int:
    """The fewest servers that are busy for at most `utilisation` of the time with a mean wait within its limit.

    Args:
        arrivals_per_s: >= 0.
        service_s: of one server, > 0.
        utilisation: in (0, 1).
        longest_mean_wait_s: > 0.

    Returns:
        0 where nothing arrives.

    >>> servers_needed(10.0, 0.1, 0.7, 0.03)
    3
    """
    _require_range("arrivals_per_s", arrivals_per_s, 0, inclusive=True)
    _require_range("service_s", service_s, 0)
    _require_range("longest_mean_wait_s", longest_mean_wait_s, 0)
    if not 0 < utilisation < 1:
        raise SettingsError(f"expected a utilisation above 0 and below 1, found {utilisation}", fix="correct it")
    load = arrivals_per_s * service_s
    # The next whole number above, but not for a quotient that is whole up to rounding.
    servers = math.ceil(load / utilisation - 1e-9)
    while mean_wait_s(servers, arrivals_per_s, service_s) > longest_mean_wait_s:
        servers += 1
    return servers


def _require_range(name: str, value: float, least: float, *, inclusive: bool = False) -> None:
    if not (least <= value if inclusive else least < value) or value == math.inf:
        sign = ">=" if inclusive else ">"
        raise SettingsError(f"expected {name} {sign} {least:g}, found {value}", fix="correct it")
