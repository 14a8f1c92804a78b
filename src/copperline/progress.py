"""Progress bars for all long work: what is done, how fast, how long it still takes. They go to stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, int], None]


@contextmanager
def progress(description: str, *, at_once: bool = True) -> Iterator[Report]:
    """A bar that is moved by calling what this yields with (done, total).

    Without a terminal nothing is drawn, so that logs stay readable. Work that only sometimes is long gets its bar with
    the first call, if not `at_once`.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    task = bar.add_task(description, total=None)

    def report(done: int, total: int) -> None:
        bar.start()  # nothing, if it was
        bar.update(task, completed=done, total=total)

    if at_once:
        bar.start()
    try:
        yield report
    finally:
        bar.stop()
