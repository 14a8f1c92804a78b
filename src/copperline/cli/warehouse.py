"""`copperline warehouse`: verify, rebuild."""

from __future__ import annotations

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, print_json, say, settings_for

app = typer.Typer(help="The tables: check and mend what is counted by hour.", no_args_is_help=True)


@app.command()
def verify(workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """Compare the counts by hour with the rows that they follow from; exit status 1 if they differ."""
    from copperline.warehouse import differences, open_warehouse, place, read_transaction

    settings = settings_for(workspace)
    engine = open_warehouse(settings.warehouse, read_only=True)
    with read_transaction(engine) as connection:
        stale = differences(connection)
    engine.dispose()
    if json_:
        print_json({"database": place(settings.warehouse), "stale": stale})
    elif stale:
        say(
            f"{place(settings.warehouse)}: another program has changed rows that {', '.join(stale)} follow from.",
            "Next: copperline warehouse rebuild",
        )
    else:
        say(f"{place(settings.warehouse)}: every count is that of its rows.", "Next: copperline dashboard")
    if stale:
        raise typer.Exit(1)


@app.command()
def rebuild(workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """Count by hour anew, in one transaction; also brings a warehouse of an older Copperline up to date."""
    from copperline.warehouse import open_warehouse, place, plant_counts, rebuild_derived, write_transaction

    settings = settings_for(workspace)
    engine = open_warehouse(settings.warehouse)
    with write_transaction(engine) as connection:
        rebuild_derived(connection)
    boards = plant_counts(engine).boards
    engine.dispose()
    if json_:
        print_json({"database": place(settings.warehouse), "boards": boards})
        return
    say(f"Counted {boards:,} boards anew in {place(settings.warehouse)}.", "Next: copperline warehouse verify")
