"""`copperline warehouse`: verify, rebuild, copy."""

from __future__ import annotations

from typing import Annotated

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, print_json, print_table, say, settings_for

app = typer.Typer(help="The tables: check and mend what is counted by hour, copy all.", no_args_is_help=True)


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


@app.command()
def copy(
    to: Annotated[
        str, typer.Option("--to", help="URL of the other warehouse, such as snowflake:// or postgresql://...")
    ],
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Copy all rows to another warehouse. What is there already is left out: a copy that was cut goes on.

    Rows of the other warehouse that are in no key of this one stay. Counts by hour are made anew there.
    """
    from copperline.progress import progress
    from copperline.warehouse import copy_warehouse, open_warehouse, place

    settings = settings_for(workspace)
    url = settings.model_copy(update={"warehouse_url": to}).warehouse
    source = open_warehouse(settings.warehouse, read_only=True)
    target = open_warehouse(url)
    with progress("Copying rows") as report:
        tables = copy_warehouse(source, target, report)
    source.dispose()
    target.dispose()
    if json_:
        print_json(
            {
                "from": place(settings.warehouse),
                "to": place(url),
                "tables": {
                    each.table: {"source": each.source, "before": each.before, "after": each.after} for each in tables
                },
            }
        )
        return
    print_table(
        "",
        ["table", "rows here", "there before", "there now"],
        [[each.table, f"{each.source:,}", f"{each.before:,}", f"{each.after:,}"] for each in tables],
    )
    say(
        f"Copied {place(settings.warehouse)} to {place(url)}.",
        "Next: set warehouse_url to it in copperline.toml, then copperline warehouse verify",
    )
