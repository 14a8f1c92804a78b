"""`copperline simulate-line`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, print_json, print_table, say, settings_for
from copperline.errors import SettingsError

if TYPE_CHECKING:
    from rich.table import Table

    from copperline.client import Client
    from copperline.line.simulated_boards import BoardSource
    from copperline.line.simulation import SimulatedLine
    from copperline.settings import Settings

REFRESH_SECONDS = 0.5
COLUMNS = ("station", "boards", "PASS", "FAIL", "WITHHELD", "median ms", "p99 ms", "late", "last board")


def simulate_line(
    stations: Annotated[int, typer.Option(min=1, max=64, help="How many; each is on a line of its own.")] = 3,
    takt: Annotated[float, typer.Option(min=0.02, help="Seconds between two boards of a station.")] = 2.0,
    boards: Annotated[
        int | None, typer.Option(min=1, help="Of each station; default: until Ctrl-C, with --json 20.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(help="Labelled boards, such as DeepPCB's PCBData or an imported data set; default: drawn boards."),
    ] = None,
    defective: Annotated[float, typer.Option(min=0, max=1, help="Share of boards with one or two defects.")] = 0.1,
    reviewed: Annotated[
        float, typer.Option(min=0, max=1, help="Share of FAIL and WITHHELD calls that simulated reviewers judge.")
    ] = 0.5,
    size: Annotated[int, typer.Option(min=64, max=4096, help="Of drawn boards, px a side.")] = 640,
    model: Annotated[str, typer.Option(help="Of the service that is started.")] = "champion",
    url: Annotated[str | None, typer.Option(help="A service that runs already; default: one is started.")] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="COPPERLINE_KEY", help="API key of that service, with scopes inspect, review and admin."),
    ] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Serve the dashboard too, and open it.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes other boards.")] = 0,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Simulate a line: stations hand boards to the service in their takt, and the dashboard follows."""
    from copperline.line.simulation import SimulatedLine, Takt, run_name

    settings = settings_for(workspace)
    if json_ and boards is None:
        boards = 20
    made = _source(source, stations, run_name(), defective, size, seed, settings)
    with ExitStack() as stack:
        address = url if url is not None else stack.enter_context(_service(settings, model))
        line = SimulatedLine(
            _clients(address, key), made, stations, Takt(takt, boards, reviewed), names_reviewers=key is None
        )
        line.prepare()
        page = stack.enter_context(_dashboard(settings)) if dashboard else None
        if not json_:
            say(f"Service: {address} (what it offers: {address}/openapi.json)")
            say(f"Dashboard: {page}" if page else _follow(settings, url))
        _run(line, quiet=json_)
    _report(line, settings, json_)


def _source(
    source: Path | None, stations: int, run: str, defective: float, size: int, seed: int, settings: Settings
) -> BoardSource:
    from copperline.line.simulated_boards import DrawnBoards, LabelledBoards

    if source is None:
        return DrawnBoards(stations, run=run, defective=defective, seed=seed, size=size)
    from copperline.data import open_dataset

    dataset, _ = open_dataset(source, taxonomy=settings.taxonomy)
    return LabelledBoards(dataset.pairs, run=run, defective=defective, seed=seed, taxonomy=dataset.taxonomy)


@contextmanager
def _service(settings: Settings, model: str) -> Iterator[str]:
    """The address of a service of its own, on this workspace."""
    from copperline.service.launch import running_service

    with running_service(settings, model=model) as address:
        yield address


def _clients(url: str, key: str | None) -> Callable[[], Client]:
    from copperline.client import Client

    return lambda: Client(url, key=key, timeout_s=30)


@contextmanager
def _dashboard(settings: Settings) -> Iterator[str]:
    from copperline.dashboard.launch import FIRST_PORT, Server, has_screen, running
    from copperline.local_server import free_port

    with running(settings, Server(port=free_port(FIRST_PORT))) as page:
        if has_screen():
            import webbrowser

            webbrowser.open(page)
        yield page


def _follow(settings: Settings, url: str | None) -> str:
    if url is not None:
        return "Follow it on the dashboard of that service's workspace."
    return f"Follow it in another terminal: copperline dashboard --workspace {settings.workspace}"


def _run(line: SimulatedLine, *, quiet: bool) -> None:
    """Until every station is through, or Ctrl-C; what a station has in hand it hands in."""
    import time

    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    live = Live(console=console, auto_refresh=False) if console.is_terminal and not quiet else None
    with line.running(), live or ExitStack():
        try:
            while not line.done:
                if live is not None:
                    live.update(_table(line), refresh=True)
                time.sleep(REFRESH_SECONDS)
        except KeyboardInterrupt:
            typer.echo("Ending: each station finishes its board.", err=True)
        if live is not None:
            live.update(_table(line), refresh=True)


def _table(line: SimulatedLine) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Simulated line (Ctrl-C ends it)", title_justify="left")
    for column in COLUMNS:
        table.add_column(column)
    for row in _rows(line):
        table.add_row(*map(escape, row))
    return table


def _rows(line: SimulatedLine) -> list[tuple[str, ...]]:
    from copperline.taxonomy import Call

    return [
        (
            report.station_id,
            f"{report.boards:,}",
            *(f"{report.calls[call]:,}" for call in (Call.PASS, Call.FAIL, Call.WITHHELD)),
            *(_milliseconds(report.latency(quantile)) for quantile in (0.5, 0.99)),
            f"{report.late:,}",
            report.trouble or report.last_board,
        )
        for report in line.reports
    ]


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1e3 * seconds:.0f}"


def _report(line: SimulatedLine, settings: Settings, json_: bool) -> None:
    from copperline.warehouse import place

    boards = sum(report.boards for report in line.reports)
    if json_:
        print_json(
            {
                "boards": boards,
                "defective": sum(report.defective for report in line.reports),
                "stations": [
                    {
                        "station_id": report.station_id,
                        "line_id": report.line_id,
                        "boards": report.boards,
                        "calls": report.calls,
                        "median_s": report.latency(0.5),
                        "p99_s": report.latency(0.99),
                        "late": report.late,
                    }
                    for report in line.reports
                ],
                "dispositions": line.reviewed,
            }
        )
        return
    print_table("Simulated line", COLUMNS, _rows(line))
    say(
        f"{boards:,} simulated boards were inspected, {sum(r.defective for r in line.reports):,} of them with defects; "
        f"simulated reviewers made {line.reviewed.total():,} dispositions.",
        f"All of it is in {place(settings.warehouse)}, marked as simulated.",
        f"Next: copperline dashboard --workspace {settings.workspace}",
    )
    if boards == 0:
        raise SettingsError("expected boards to be inspected, none was", fix="let it run longer")
