"""What a sink is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Protocol

from copperline.errors import SettingsError
from copperline.warehouse import Event
from copperline.warehouse.outbox import Failure

Outcome = Failure | None
"""What became of one event; None: the sink has it."""


class Sink(Protocol):
    """Somebody who is told of events.

    Attributes:
        batch: how many events it takes at once.
        send_s: how long sending may take at most until it is known what became of one more event, seconds.
        pause_s: seconds from one batch to the next.
    """

    name: str
    max_attempts: int
    batch: int
    send_s: float
    pause_s: float

    def ready(self) -> bool:
        """Whether this process may send now; False: another one does. Nothing is claimed then."""
        ...

    def send(self, events: Sequence[Event]) -> Iterator[tuple[str, Outcome]]:
        """Sends them, and gives (event_id, what became of it) as soon as it is known, in any order.

        Whoever asks may stop asking: what it has not been told of counts as not tried. Raises nothing that the sink
        on the other side can cause.
        """
        ...

    def close(self) -> None:
        """Gives back what it holds; it may be used again."""
        ...


def secret_of(variable: str | None, sink: str) -> str | None:
    """The value of a variable that the settings name; None: they name none. Raises SettingsError if it is not set."""
    if variable is None:
        return None
    value = os.environ.get(variable, "")
    if not value:
        raise SettingsError(
            f"sink {sink!r}: expected the variable {variable} of the environment, found none",
            fix="set it where Copperline is started, or name another in copperline.toml",
        )
    return value
