"""A shelf for what is costly to compute and large to keep: the least lately used makes room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        ...


Thing = TypeVar("Thing", bound=Sized)


class Shelf(Generic[Thing]):
    """Keeps things by key up to a total size. Safe to use from several threads.

    Streamlit's own caches count entries, and one whole-panel scan is as large as six hundred ordinary boards.

    Args:
        most_bytes: together; a thing that is larger stays alone until the next one comes.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._things: OrderedDict[Hashable, Thing] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Of all that is kept."""
        with self._lock:
            return self._total()

    def find(self, key: Hashable) -> Thing | None:
        with self._lock:
            if key in self._things:
                self._things.move_to_end(key)
            return self._things.get(key)

    def get(self, key: Hashable, make: Callable[[], Thing]) -> Thing:
        """What is kept for `key`, else what `make` gives, which is kept. Two threads may make the same at once."""
        thing = self.find(key)
        if thing is None:
            thing = make()
            with self._lock:
                self._things[key] = thing
                while len(self._things) > 1 and self._total() > self.most_bytes:
                    self._things.popitem(last=False)
        return thing

    def _total(self) -> int:
        return sum(thing.nbytes for thing in self._things.values())
