"""`copperline sinks`: list, test, deliver, retry, forget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, print_json, print_table, say, settings_for
from copperline.errors import CopperlineError, SettingsError

if TYPE_CHECKING:
    from copperline.settings import Settings
    from copperline.sink_settings import SinkSettings

app = typer.Typer(help="Other systems that are told of inspections and alerts.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of the sink in copperline.toml.")]


@app.command("list")
def list_(workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """List the sinks with what each still has to be told, and why the last try failed."""
    from copperline.delivery.opening import destination
    from copperline.warehouse import open_warehouse
    from copperline.warehouse.outbox import Backlog, backlogs

    settings = settings_for(workspace)
    engine = open_warehouse(settings.warehouse)
    found = backlogs(engine)
    engine.dispose()
    rows: list[dict[str, Any]] = []
    known = {sink.name: sink for sink in settings.sinks}
    for name in [*known, *(name for name in found if name not in known)]:
        sink = known.get(name)
        backlog = found.get(name, Backlog(name, 0, 0, 0, 0, None, None, None))
        rows.append(
            {
                "name": name,
                "kind": None if sink is None else sink.kind,
                "destination": None if sink is None else destination(sink),
                **{field: getattr(backlog, field) for field in ("pending", "retrying", "failed", "delivered")},
                "oldest_pending": _iso(backlog.oldest_pending),
                "last_delivered": _iso(backlog.last_delivered),
                "last_error": backlog.last_error,
            }
        )
    if json_:
        print_json({"sinks": rows})
        return
    if not rows:
        say("No sink is set up.", "Next: write a [[sinks]] table in copperline.toml, see docs/integration.md")
        return
    columns = ("sink", "kind", "to", "pending", "oldest pending", "failed", "delivered", "last error")
    print_table(
        "",
        columns,
        [
            (
                row["name"],
                row["kind"] or "not in the settings",
                row["destination"] or "",
                f"{row['pending']:,}",
                row["oldest_pending"] or "",
                f"{row['failed']:,}",
                f"{row['delivered']:,}",
                row["last_error"] or "",
            )
            for row in rows
        ],
    )
    for row in rows:
        if row["kind"] is None:
            say(f"{row['name']}: nobody delivers to it any more; copperline sinks forget {row['name']}")
        elif row["failed"]:
            say(f"{row['name']}: {row['failed']:,} events were given up; copperline sinks retry {row['name']}")
    say("Next: copperline sinks test NAME")


@app.command("test")
def test_(name: NameArgument, workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """Send one event that says it is a trial, now, and tell what came back; exit status 1 if it was not taken."""
    from copperline.delivery.opening import destination, open_sink, trial_event
    from copperline.warehouse import open_warehouse

    settings = settings_for(workspace)
    wanted = _sink_of(settings, name)
    engine = open_warehouse(settings.warehouse)
    sink = open_sink(wanted, settings, engine, probe=True)
    event = trial_event(wanted)
    try:
        outcomes = dict(sink.send([event]))
    finally:
        sink.close()
        engine.dispose()
    failure = outcomes[event.event_id]
    if json_:
        reason = None if failure is None else failure.reason
        print_json({"sink": name, "event_id": event.event_id, "delivered": failure is None, "reason": reason})
    elif failure is None:
        say(f"{name} took the trial event {event.event_id} ({destination(wanted)}).", "Next: copperline sinks list")
    if failure is not None:
        if json_:
            raise typer.Exit(1)
        raise CopperlineError(
            f"expected that it takes an event, found: {failure.reason}", where=name, fix="correct its [[sinks]] table"
        )


@app.command()
def deliver(
    once: Annotated[bool, typer.Option("--once", help="Deliver what is due, and end.")] = False,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Deliver what waits, until Ctrl-C; `serve` and `watch` do the same while they run, and may run beside it.

    With --once, exit status 1 if a sink did not take all that was due.
    """
    from copperline.delivery.courier import Courier
    from copperline.warehouse import open_warehouse

    settings = settings_for(workspace)
    if not settings.sinks:
        raise SettingsError("expected a sink, found none", fix="write a [[sinks]] table in copperline.toml")
    engine = open_warehouse(settings.warehouse)
    courier = Courier(engine, settings)
    try:
        if once:
            _deliver_once(courier, json_)
        else:
            say(f"Delivering to {', '.join(sink.name for sink in courier.sinks)} (Ctrl-C ends it).")
            courier.start()
            _wait_for_a_signal()
            courier.stop()
            say("Ended; what is left is delivered next time.", "Next: copperline sinks list")
    finally:
        engine.dispose()


@app.command()
def retry(name: NameArgument, workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """Make events that were given up due again."""
    from copperline.warehouse import open_warehouse
    from copperline.warehouse.outbox import retry_failed

    settings = settings_for(workspace)
    _sink_of(settings, name)
    engine = open_warehouse(settings.warehouse)
    number = retry_failed(engine, name)
    engine.dispose()
    if json_:
        print_json({"sink": name, "due_again": number})
        return
    say(f"{number:,} events are due again for {name}.", "Next: copperline sinks deliver --once")


@app.command()
def forget(name: NameArgument, workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """Delete all that is kept for a sink that is not in the settings any more."""
    from copperline.warehouse import open_warehouse
    from copperline.warehouse.outbox import forget_sink

    settings = settings_for(workspace)
    if any(sink.name == name for sink in settings.sinks):
        raise SettingsError(
            f"expected a sink that is not in the settings, found {name!r} there", fix="remove its [[sinks]] table first"
        )
    engine = open_warehouse(settings.warehouse)
    number = forget_sink(engine, name)
    engine.dispose()
    if json_:
        print_json({"sink": name, "deleted": number})
        return
    say(f"Deleted {number:,} deliveries of {name}.", "Next: copperline sinks list")


def _deliver_once(courier: Any, json_: bool) -> None:
    rows, lines = [], []
    for sink in courier.sinks:
        try:
            done = courier.deliver_now(sink)
        finally:
            sink.close()
        if done is None:
            lines.append(f"{sink.name}: another process delivers to it.")
            rows.append({"sink": sink.name, "delivered": 0, "failed": 0, "given_up": 0, "reason": None})
            continue
        why = f"; {done.failed:,} not: {done.reason}" if done.failed else ""
        lines.append(f"{sink.name}: {done.delivered:,} delivered{why}")
        rows.append(
            {
                "sink": sink.name,
                "delivered": done.delivered,
                "failed": done.failed,
                "given_up": done.given_up,
                "reason": done.reason,
            }
        )
    if json_:
        print_json({"sinks": rows})
    else:
        say(*lines, "Next: copperline sinks list")
    if any(row["failed"] for row in rows):
        raise typer.Exit(1)


def _wait_for_a_signal() -> None:
    """Until Ctrl-C or a service manager's SIGTERM."""
    import signal
    import threading

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


def _sink_of(settings: Settings, name: str) -> SinkSettings:
    for sink in settings.sinks:
        if sink.name == name:
            return sink
    names = ", ".join(sink.name for sink in settings.sinks) or "none"
    raise SettingsError(f"expected a sink of the settings ({names}), found {name!r}", fix="see copperline sinks list")


def _iso(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
