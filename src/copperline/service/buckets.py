"""How often something may happen: token buckets, one for each key or address, in bounded memory."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class TokenBuckets:
    """Each name may take `burst` tokens at once, and `rate` a second in the long run.

    Args:
        rate: tokens a second, above 0.
        burst: at least 1.
        names: so many are remembered; the one that was not asked for longest is forgotten first, which gives it a
            full bucket again.
        clock: seconds, monotonic.
    """

    def __init__(
        self, rate: float, burst: int, *, names: int = 4096, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._names, self._clock = rate, burst, names, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str) -> float:
        """Takes a token; 0, or if there is none, takes none and gives the seconds until there is one."""
        wait = self.wait(name)
        if not wait:
            self._buckets[name].tokens -= 1
        return wait

    def wait(self, name: str) -> float:
        """As `take`, without taking."""
        now = self._clock()
        bucket = self._buckets.setdefault(name, _Bucket(self._burst, now))
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._names:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        return 0.0 if bucket.tokens >= 1 else (1 - bucket.tokens) / self._rate


def network_of(address: str) -> str:
    """What one caller can change at will counts as one: of an IPv6 address the first 64 bits.

    >>> network_of("192.0.2.7"), network_of("2001:db8::1:2"), network_of("::ffff:192.0.2.7"), network_of("unknown")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7', 'unknown')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
