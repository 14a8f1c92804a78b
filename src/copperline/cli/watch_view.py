"""What people see of a watched folder: a live table on a terminal, else one line for each board in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler
from rich.table import Table
from rich.text import Text

from copperline.line.watching import FailedBoard, InspectedBoard, Listener, WatchSummary
from copperline.taxonomy import Call
from copperline.warehouse import place


def view_of(folder: Path, warehouse: str) -> View:
    """The view that fits stderr."""
    console = Console(stderr=True)
    return View(console, f"Watching {printable(str(folder))}, writing to {place(warehouse)}; Ctrl-C ends it")


class View(Listener):
    """Attributes:
    console: where it is shown.
    """

    def __init__(self, console: Console, title: str) -> None:
        self.console = console
        self._title = title
        self._live = console.is_terminal

    @contextmanager
    def showing(self, summary: WatchSummary) -> Iterator[None]:
        """While it is entered, the counts are shown as they change."""
        if not self._live:
            self._line(self._title)
            yield
            return
        log, handler = logging.getLogger("copperline"), RichHandler(console=self.console, show_path=False)
        log.addHandler(handler)
        propagate, log.propagate = log.propagate, False  # a second line would tear the table
        try:
            table = Live(console=self.console, get_renderable=lambda: self._table(summary), refresh_per_second=4)
            with table:
                yield
        finally:
            log.removeHandler(handler)
            log.propagate = propagate

    def inspected(self, board: InspectedBoard) -> None:
        if self._live:
            return
        if board.call is None:
            self._line(f"{board.board_id}: inspected before, its files were moved")
            return
        note = "; no reference came in time" if board.without_expected_reference else ""
        self._line(f"{board.board_id}: {board.call.value}, {board.defects} defects, {board.latency_ms:.0f} ms{note}")

    def failed(self, board: FailedBoard) -> None:
        self._line(f"failed: {board.reason}", style="red")

    def notice(self, text: str) -> None:
        self._line(text, style="yellow")

    def _line(self, text: str, style: str = "") -> None:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.console.print(Text(f"{at} {printable(text)}", style=style), soft_wrap=True, highlight=False)

    def _table(self, summary: WatchSummary) -> Table:
        table = Table(title=Text(self._title), title_justify="left", show_header=False, box=None, padding=(0, 2))
        waiting, last = summary.waiting, summary.last_board
        calls = ", ".join(f"{summary.calls[call]} {call.value}" for call in Call)
        rows = [
            ("to inspect", f"{summary.queued} boards; {waiting.settling} files still being written"),
            ("waiting", f"{waiting.tests} for a reference; {waiting.references} references for a test image"),
            ("inspected", f"{summary.inspected} boards: {calls}"),
            ("failed", f"{summary.failed} boards"),
            ("boards / min", f"{summary.boards_per_minute:.0f}"),
            ("last board", "none yet" if last is None or last.call is None else f"{last.board_id}: {last.call.value}"),
            ("last error", summary.last_error or "none"),
        ]
        if waiting.foreign:
            rows.insert(2, ("left alone", f"{waiting.foreign} files whose path does not fit the pattern"))
        if summary.trouble:
            rows.append(("TROUBLE", summary.trouble))
        for name, value in rows:
            table.add_row(name, Text(printable(value), style="bold red" if name == "TROUBLE" else ""))
        return table


def printable(text: str) -> str:
    """On one line, and without the bytes of file names that are no text.

    >>> printable("B1\\nB2"), printable("B\\udcff")
    ('B1\\\\nB2', 'B\\\\udcff')
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
