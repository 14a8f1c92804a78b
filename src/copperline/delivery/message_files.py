"""One JSON file for each event, named by its event_id: sent twice, it is the same file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from copperline.delivery.messages import message_of
from copperline.delivery.sinks import Outcome
from copperline.errors import DataError
from copperline.files import atomic_file, file_name
from copperline.sink_settings import MessageFilesSink
from copperline.warehouse import Event
from copperline.warehouse.outbox import Failure


class MessageFiles:
    """A sink; see `copperline.delivery.sinks.Sink`. Whoever reads a file may take it away."""

    batch = 200
    send_s = 5.0
    pause_s = 0.0

    def __init__(self, settings: MessageFilesSink) -> None:
        self.name = settings.name
        self.max_attempts = settings.max_attempts
        self._settings = settings

    def ready(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def send(self, events: Sequence[Event]) -> Iterator[tuple[str, Outcome]]:
        for event in events:
            yield event.event_id, self._send(event)

    def _send(self, event: Event) -> Outcome:
        try:
            message = message_of(event, self._settings.format)
            path = self._settings.folder / file_name(event.event_id, ".json")
        except DataError as error:
            return Failure(str(error), final=True)
        try:
            with atomic_file(path) as temporary:
                temporary.write_bytes(message.body)
        except DataError as error:
            return Failure(str(error))
        return None
