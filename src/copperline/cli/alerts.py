"""`copperline alerts`: list, check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, print_json, print_table, say, settings_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copperline.warehouse.alerts import Alert

app = typer.Typer(
    help="What people are told of: control charts, withheld boards, drift, silent stations.", no_args_is_help=True
)


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """List the alerts that are open, the newest first."""
    from copperline.warehouse import open_warehouse
    from copperline.warehouse.alerts import list_alerts

    settings = settings_for(workspace)
    engine = open_warehouse(settings.warehouse, read_only=True)
    found = list_alerts(engine, closed=all_, limit=limit)
    engine.dispose()
    if json_:
        print_json({"alerts": [alert.to_dict() for alert in found]})
        return
    if not found:
        say("No alert." if all_ else "No alert is open.", "Next: copperline alerts check")
        return
    _show(found)
    say(f"{len(found)} alerts.", "Next: copperline dashboard")


@app.command()
def check(workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """Evaluate all alerts now, as `serve` and `watch` do while they run; open and close what is to be."""
    from copperline.warehouse import open_warehouse
    from copperline.workflows.alerting import AlertWatch

    settings = settings_for(workspace)
    engine = open_warehouse(settings.warehouse)
    changes = AlertWatch(engine, settings).check()
    engine.dispose()
    if json_:
        parts = {"opened": changes.opened, "closed": changes.closed, "open": changes.open}
        print_json({name: [alert.to_dict() for alert in alerts] for name, alerts in parts.items()})
        return
    if changes.open:
        _show(changes.open)
    say(
        f"{len(changes.opened)} opened, {len(changes.closed)} closed, {len(changes.open)} open.",
        "Next: copperline alerts list --all",
    )


def _show(alerts: Sequence[Alert]) -> None:
    print_table(
        "",
        ("opened, UTC", "closed, UTC", "kind", "what"),
        [
            (
                f"{alert.opened_at:%Y-%m-%d %H:%M}",
                "open" if alert.closed_at is None else f"{alert.closed_at:%Y-%m-%d %H:%M}",
                alert.kind.value,
                alert.summary,
            )
            for alert in alerts
        ],
    )
