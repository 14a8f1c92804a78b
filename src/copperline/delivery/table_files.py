"""Tables as files: CSV that a spreadsheet opens without harm, JSON lines, or Parquet; row by row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from copperline.errors import SettingsError
from copperline.warehouse.export_queries import ExportColumn

# A cell that begins so is run as a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ROWS_IN_MEMORY = 5000

Row = Sequence[Any]
Rows = Iterable[Row]


class TableFormat(StrEnum):
    """Of a file, by its suffix."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"

    @classmethod
    def of(cls, path: Path) -> TableFormat:
        """By the name of a file; raises SettingsError for any other.

        >>> TableFormat.of(Path("boards.parquet")).value
        'parquet'
        """
        suffix = path.suffix.lower().removeprefix(".")
        if suffix not in {form.value for form in cls}:
            raise SettingsError(
                f"expected a file that ends in .csv, .jsonl or .parquet, found {path.suffix or 'no suffix'}",
                where=path,
                fix="name it so",
            )
        return cls(suffix)


def write_table(path: Path, columns: Sequence[ExportColumn], rows: Rows, form: TableFormat) -> int:
    """Writes rows as they come, and gives how many; not atomic, see `atomic_file`.

    Times are UTC: in CSV and JSON as ISO 8601 with their offset.

    Raises:
        ModuleNotFoundError: for Parquet without pyarrow.
        OSError: the file cannot be written.
    """
    counter = _Counter(rows)
    _WRITERS[form](path, columns, counter)
    return counter.rows


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """UTF-8 with a byte order mark, which spreadsheets need; None is an empty cell.

    Text that a spreadsheet would run as a formula gets an apostrophe before it.

    >>> csv_bytes(["board", "share"], [["=1+1", -0.5], [None, 2]]).decode("utf-8-sig")
    "board,share\\r\\n'=1+1,-0.5\\r\\n,2\\r\\n"
    """
    text = io.StringIO(newline="")
    _write_csv_rows(text, columns, rows)
    return text.getvalue().encode("utf-8-sig")


class _Counter:
    def __init__(self, rows: Rows) -> None:
        self._source = rows
        self.rows = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._source:
            self.rows += 1
            yield row


def _write_csv_rows(text: Any, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return _plain(value)


def _plain(value: object) -> object:
    """A value as text has it: times and days in ISO 8601."""
    return value.isoformat() if isinstance(value, datetime | date) else value


def _csv(path: Path, columns: Sequence[ExportColumn], rows: Rows) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        _write_csv_rows(file, [column.name for column in columns], rows)


def _jsonl(path: Path, columns: Sequence[ExportColumn], rows: Rows) -> None:
    names = [column.name for column in columns]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(dict(zip(names, map(_plain, row), strict=True)), ensure_ascii=False) + "\n")


def _parquet(path: Path, columns: Sequence[ExportColumn], rows: Rows) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        "text": pa.string(),
        "integer": pa.int64(),
        "real": pa.float64(),
        "time": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
    }
    schema = pa.schema([(column.name, types[column.kind]) for column in columns])
    with pq.ParquetWriter(path, schema) as writer:
        waiting = iter(rows)
        while part := list(islice(waiting, _ROWS_IN_MEMORY)):
            values = zip(*part, strict=True)
            arrays = [pa.array(list(column), type=field.type) for column, field in zip(values, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


_WRITERS: dict[TableFormat, Callable[[Path, Sequence[ExportColumn], Rows], None]] = {
    TableFormat.CSV: _csv,
    TableFormat.JSONL: _jsonl,
    TableFormat.PARQUET: _parquet,
}
