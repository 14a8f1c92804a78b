"""`copperline audit`: who did what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, print_json, print_table, say, settings_for
from copperline.cli.periods import parse_since


def audit(
    since: Annotated[
        str | None, typer.Option("--since", help="A span such as 7d, or a date or time in UTC; default: all.")
    ] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only this key's name, reviewer or account.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Only this, such as review.recorded.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")] = 200,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Show who did what, the oldest first: keys, refusals, reviews, references and promotions in one list."""
    from copperline.access import timeline
    from copperline.registry import open_registry
    from copperline.warehouse import open_warehouse

    settings = settings_for(workspace)
    begin = None if since is None else parse_since(since, "--since")
    engine = open_warehouse(settings.warehouse, read_only=True)
    history = open_registry(settings).history()
    found = timeline(engine, history, since=begin, actor=actor, action=action, limit=limit + 1)
    engine.dispose()
    entries, more = found[-limit:], len(found) > limit
    if json_:
        names = ("actor", "action", "subject", "detail")
        rows = [{"at": e.at.isoformat(), **{name: getattr(e, name) for name in names}} for e in entries]
        print_json({"entries": rows, "more": more, "damaged_promotions": history.damaged})
        return
    if entries:
        print_table(
            "Who did what",
            ("when (UTC)", "who", "what", "to what", "detail"),
            [(f"{e.at:%Y-%m-%d %H:%M:%S}", e.actor, e.action, e.subject, _words(e.detail)) for e in entries],
        )
    else:
        say("Nothing that fits is recorded.")
    if history.damaged:
        say(f"Lines of the promotions that cannot be read: {', '.join(map(str, history.damaged))}.")
    say("Older entries are left out: give --limit or --since." if more else "Next: copperline keys list")


def _words(detail: Mapping[str, Any]) -> str:
    """For people: what is a list is only counted.

    >>> _words({"count": 3, "disposition_ids": ["a", "b"]})
    'count 3, disposition ids: 2'
    """
    return ", ".join(
        f"{name.replace('_', ' ')}: {len(value)}" if isinstance(value, list) else f"{name.replace('_', ' ')} {value}"
        for name, value in detail.items()
    )
