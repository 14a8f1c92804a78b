"""`copperline watch`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from copperline.cli.options import JsonOption, ModelOption, WorkspaceOption, print_json, say, settings_for
from copperline.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from copperline.inspection import Detector
    from copperline.line import LineInspector
    from copperline.line.watching import WatchOptions, WatchSummary
    from copperline.settings import Settings


def watch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that AOI machines put images in.")],
    pattern: Annotated[
        str,
        typer.Option(
            help="What paths say: {board}, {product}, {revision}, {line}, {station}, {panel}, {kind}, {ext} and text."
        ),
    ] = "{board}{kind}.{ext}",
    test_word: Annotated[str, typer.Option(help="What {kind} is in the path of a test image, or nothing.")] = "_test",
    reference_word: Annotated[str, typer.Option(help="What {kind} is in the path of a reference.")] = "_temp",
    done: Annotated[Path | None, typer.Option(help="Where inspected boards go; default: DIR/done.")] = None,
    failed: Annotated[
        Path | None, typer.Option(help="Where boards go that cannot be used; default: DIR/failed.")
    ] = None,
    station: Annotated[str, typer.Option(help="Station of boards whose path names none.")] = "AOI-1",
    line: Annotated[str | None, typer.Option(help="Line of boards whose path names none.")] = None,
    product: Annotated[str | None, typer.Option(help="Product of boards whose path names none.")] = None,
    revision: Annotated[str | None, typer.Option(help="Revision of boards whose path names none.")] = None,
    model: ModelOption = "champion",
    poll: Annotated[float, typer.Option(help="Seconds between two looks at the folder.")] = 1.0,
    settle: Annotated[float, typer.Option(help="A file counts when it has not changed for so many seconds.")] = 1.0,
    pair_wait: Annotated[
        float, typer.Option(help="Seconds that a test image waits for the reference that its path promises.")
    ] = 10.0,
    unfinished_wait: Annotated[
        float, typer.Option(help="A file that is no whole image fails when it has not changed for so many seconds.")
    ] = 30.0,
    once: Annotated[bool, typer.Option("--once", help="End when the boards that are there now are through.")] = False,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Inspect boards as their images come into a folder, each once, until Ctrl-C."""
    if json_ and not once:
        raise SettingsError("expected --once with --json", fix="add --once, or read the log on stderr")
    from copperline.line.watching import Pattern, WatchOptions

    settings = settings_for(workspace)
    options = WatchOptions(
        folder,
        done,
        failed,
        Pattern(pattern, test_word=test_word, reference_word=reference_word),
        station_id=station,
        line_id=line,
        product_type=product,
        revision=revision or "",
        poll_s=poll,
        settle_s=settle,
        pair_wait_s=pair_wait,
        unfinished_wait_s=unfinished_wait,
    )
    options.prepare()
    summary = _watch(settings, options, model, once)
    if json_:
        print_json(summary.to_dict())
    else:
        _tell(summary, options, settings)
    if once and summary.trouble:
        raise SettingsError(f"boards are left: {summary.trouble}", where=folder, fix="mend that, then run it again")
    if once and summary.failed and not (summary.inspected or summary.only_moved):
        raise SettingsError(
            "expected boards to inspect, none could be", where=folder, fix="see the reasons in --failed"
        )


def _watch(settings: Settings, options: WatchOptions, model: str, once: bool) -> WatchSummary:
    from copperline.cli.watch_view import view_of
    from copperline.delivery.courier import Courier
    from copperline.inspection import Detector
    from copperline.line.model_watch import ModelWatch
    from copperline.line.watching import Watcher
    from copperline.warehouse import open_warehouse
    from copperline.workflows.alerting import AlertWatch

    detector = Detector.load(model, settings=settings)
    engine = open_warehouse(settings.warehouse, durable=True)
    stop = threading.Event()
    try:
        models = ModelWatch(settings, model, detector)
        # All that works beside the watcher, from its beginning to its end.
        helpers: list[AbstractContextManager[object]] = [
            models,
            Courier(engine, settings),
            AlertWatch(engine, settings),
        ]
        with ExitStack() as stack:
            view = view_of(options.folder, settings.warehouse)
            watcher = Watcher(_line(settings, detector, engine), options, view, stop, latest=models.latest)
            for helper in helpers:
                stack.enter_context(helper)
            stack.enter_context(_ended_by_signal(stop))
            stack.enter_context(view.showing(watcher.summary))
            return watcher.run(once=once)
    finally:
        engine.dispose()


def _line(settings: Settings, detector: Detector, engine: Engine) -> LineInspector:
    from copperline.line import LineInspector
    from copperline.line.inspector import INSPECTION_COMPLETED
    from copperline.stage import Stage

    return LineInspector(
        detector,
        engine,
        Stage(settings),
        sinks=settings.sinks_for(INSPECTION_COMPLETED),
        requires_reference=settings.line_requires_reference,
    )


@contextmanager
def _ended_by_signal(stop: threading.Event) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM lets the board in hand be finished; a second one ends at once."""

    def end(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(summary: WatchSummary, options: WatchOptions, settings: Settings) -> None:
    from copperline.taxonomy import Call
    from copperline.warehouse import place

    calls = ", ".join(f"{summary.calls[call]} {call.value}" for call in Call)
    lines = [
        f"Inspected {summary.inspected} boards ({summary.new} new): {calls}; {summary.defects} defects; "
        f"{summary.failed} boards failed."
    ]
    if summary.trouble:
        lines.append(f"When it ended, boards were waiting, and are still in {options.folder}: {summary.trouble}.")
    if summary.only_moved:
        lines.append(f"{summary.only_moved} boards had been inspected before; only their files were moved.")
    if summary.left:
        lines.append(f"{len(summary.left)} files are left in {options.folder}: half of a pair, or not whole yet.")
    if summary.failed:
        lines.append(f"The reasons are beside the files in {options.failed_folder}; move a file back to try it again.")
    lines.append(f"Written to {place(settings.warehouse)}; files are in {options.done_folder}.")
    lines.append("Next: copperline dashboard")
    say(*lines)
