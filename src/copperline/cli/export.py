"""`copperline export`: inspections, detections, dispositions, boards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, print_json, say, settings_for
from copperline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine

    from copperline.progress import Report
    from copperline.settings import Settings
    from copperline.warehouse.export_queries import ExportFilter, ExportTable

app = typer.Typer(help="Write tables of the warehouse as CSV, JSON lines or Parquet.", no_args_is_help=True)

OutArgument = Annotated[Path, typer.Argument(metavar="OUT", help="File to write: .csv, .jsonl or .parquet.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="From this day or time on, in the plant's time zone unless it has one.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Before this day or time.")]
LineOption = Annotated[str | None, typer.Option("--line", help="Of this line alone; '' stands for unknown.")]
ProductOption = Annotated[str | None, typer.Option("--product", help="Of this product alone; '' stands for unknown.")]


class Form(StrEnum):
    """What an inspection looks like in the file."""

    TABLE = "table"
    CFX = "cfx"


@app.command()
def inspections(
    out: OutArgument,
    format_: Annotated[
        Form, typer.Option("--format", help="table: a row each; cfx: a CFX-shaped message each, as JSON lines.")
    ] = Form.TABLE,
    since: SinceOption = None,
    until: UntilOption = None,
    line: LineOption = None,
    product: ProductOption = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Write all inspections, the good boards too, in order of time."""
    _export("inspections", out, since, until, line, product, workspace, json_, cfx=format_ is Form.CFX)


@app.command()
def detections(
    out: OutArgument,
    since: SinceOption = None,
    until: UntilOption = None,
    line: LineOption = None,
    product: ProductOption = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Write all detections; the times of the filter are those of their inspections."""
    _export("detections", out, since, until, line, product, workspace, json_)


@app.command()
def dispositions(
    out: OutArgument,
    since: SinceOption = None,
    until: UntilOption = None,
    line: LineOption = None,
    product: ProductOption = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Write what people decided; the times of the filter are those of the decisions."""
    _export("dispositions", out, since, until, line, product, workspace, json_)


@app.command()
def boards(
    out: OutArgument,
    since: SinceOption = None,
    until: UntilOption = None,
    line: LineOption = None,
    product: ProductOption = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Write one row for each inspected board; the times of the filter are those of its first inspection."""
    _export("boards", out, since, until, line, product, workspace, json_)


def _export(
    table: str,
    out: Path,
    since: str | None,
    until: str | None,
    line: str | None,
    product: str | None,
    workspace: Path | None,
    json_: bool,
    *,
    cfx: bool = False,
) -> None:
    from copperline.progress import progress
    from copperline.warehouse import open_warehouse
    from copperline.warehouse.export_queries import ExportFilter, ExportTable

    settings = settings_for(workspace)
    chosen = ExportFilter(
        since=_moment(since, settings, "--since"), until=_moment(until, settings, "--until"), line=line, product=product
    )
    engine = open_warehouse(settings.warehouse, read_only=True)
    try:
        with progress(f"Writing {table}") as report:
            if cfx:
                rows = _write_messages(engine, settings, out, chosen, report)
            else:
                rows = _write_rows(engine, ExportTable(table), out, chosen, report)
    finally:
        engine.dispose()
    if json_:
        print_json({"file": out, "table": table, "rows": rows})
        return
    say(f"Wrote {rows:,} {table} to {out}.", "Next: open it, or narrow it with --since, --until, --line and --product")


def _write_rows(engine: Engine, table: ExportTable, out: Path, chosen: ExportFilter, report: Report) -> int:
    from copperline.delivery.table_files import TableFormat, write_table
    from copperline.files import atomic_file
    from copperline.warehouse.export_queries import count_rows, export_columns, export_query, exported_rows

    form = TableFormat.of(out)
    query = export_query(table, chosen)
    total = count_rows(engine, query)
    with atomic_file(out) as temporary, exported_rows(engine, query) as rows:
        return write_table(temporary, export_columns(query), _reported(rows, total, report), form)


def _write_messages(engine: Engine, settings: Settings, out: Path, chosen: ExportFilter, report: Report) -> int:
    """CFX-shaped messages; UniqueID is the inspection's id, so that a second export has the same messages."""
    import json

    from copperline.delivery.cfx import units_inspected
    from copperline.files import atomic_file
    from copperline.line.documents import InspectionDocument
    from copperline.warehouse.export_queries import ExportTable, count_rows, export_query, exported_traces

    if out.suffix != ".jsonl":
        raise SettingsError(
            f"expected a .jsonl file with --format cfx, found {out.suffix or 'no suffix'}", where=out, fix="name it so"
        )
    total = count_rows(engine, export_query(ExportTable.INSPECTIONS, chosen))
    written = 0
    with (
        atomic_file(out) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
        exported_traces(engine, chosen) as traces,
    ):
        for board, inspection in _reported(traces, total, report):
            document = InspectionDocument.of_trace(board, inspection, settings.taxonomy)
            message = units_inspected(inspection.inspection_id, document.model_dump(mode="json"))
            file.write(json.dumps(message) + "\n")
            written += 1
    return written


def _reported(rows: Iterable[Any], total: int, report: Report) -> Iterator[Any]:
    done = 0
    for done, row in enumerate(rows, start=1):
        yield row
        if done % 1000 == 0:
            report(done, max(total, done))
    report(done, max(total, done))


def _moment(text: str | None, settings: Settings, option: str) -> datetime | None:
    """A day or a time; without a zone of its own in the plant's."""
    from zoneinfo import ZoneInfo

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            f"{option}: expected a day or a time in ISO 8601, found {text!r}",
            fix="write 2026-03-01 or 2026-03-01T06:00",
        ) from error
    return moment if moment.utcoffset() is not None else moment.replace(tzinfo=ZoneInfo(settings.time_zone))
