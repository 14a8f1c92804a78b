"""Inspections and detections as files of one UTC day each, for programs that only read files.

A file is never added to: each time something happened on a day, both of its files are made anew from the warehouse and
replaced at once. So each inspection is in them exactly once, however often an event is delivered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from filelock import FileLock, Timeout
from sqlalchemy import Engine

from copperline.delivery.sinks import Outcome
from copperline.delivery.table_files import TableFormat, write_table
from copperline.errors import CopperlineError
from copperline.files import atomic_file
from copperline.sink_settings import FilesSink
from copperline.warehouse import Event
from copperline.warehouse.export_queries import ExportFilter, ExportTable, export_columns, export_query, exported_rows
from copperline.warehouse.outbox import Failure

TABLES = (ExportTable.INSPECTIONS, ExportTable.DETECTIONS)
_LOCK = ".copperline.lock"
_LOCK_WAIT_S = 60.0


class TablesByDay:
    """A sink; see `copperline.delivery.sinks.Sink`."""

    batch = 5000
    send_s = 200.0  # to wait for the lock, and to write a large day

    def __init__(self, settings: FilesSink, engine: Engine) -> None:
        self.name = settings.name
        self.max_attempts = settings.max_attempts
        self.pause_s = settings.every_s
        self._settings = settings
        self._engine = engine
        self._form = TableFormat(settings.table_format)

    def ready(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def send(self, events: Sequence[Event]) -> Iterator[tuple[str, Outcome]]:
        by_day: dict[date, list[Event]] = {}
        for event in events:
            by_day.setdefault(event.occurred_at.astimezone(UTC).date(), []).append(event)
        for day, of_day in sorted(by_day.items()):
            failure = self._write(day)
            for event in of_day:
                yield event.event_id, failure

    def _write(self, day: date) -> Outcome:
        folder = self._settings.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Held from the reading to the last replacing: of two processes, the one that read earlier must not write
            # later.
            with FileLock(folder / _LOCK, timeout=_LOCK_WAIT_S, thread_local=False):
                for table in TABLES:
                    self._write_table(table, day)
        except Timeout:
            return Failure(f"{folder}: another process has been writing there for {_LOCK_WAIT_S:g} s")
        except ModuleNotFoundError as error:
            return Failure(f"{error.name} is not installed; pip install 'copperline[export]'")
        except CopperlineError as error:
            return Failure(str(error))
        except OSError as error:
            return Failure(f"{folder}: {error.strerror or error}")
        return None

    def _write_table(self, table: ExportTable, day: date) -> None:
        since = datetime.combine(day, time(), UTC)
        query = export_query(table, ExportFilter(since, since + timedelta(days=1)))
        path = self._settings.folder / table.value / f"day={day.isoformat()}.{self._form.value}"
        with atomic_file(path) as temporary, exported_rows(self._engine, query) as rows:
            write_table(temporary, export_columns(query), rows, self._form)
