"""`copperline sql`."""

from __future__ import annotations

from typing import Annotated

import typer

from copperline.cli.options import JsonOption, ModelOption, WorkspaceOption, print_json, print_table, say, settings_for
from copperline.errors import SettingsError


def sql(
    query: Annotated[str, typer.Argument(help="One statement; :name stands for a parameter.")],
    param: Annotated[list[str] | None, typer.Option("--param", help="name=value, bound; may be repeated.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Allow changes.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 100,
    model: ModelOption = "champion",
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Query the warehouse. PREDICT(image[, reference]) runs the model on the bytes of an image, in SQL.

    For example: SELECT filename, PREDICT(image_bytes, reference_bytes) FROM pcb_labeled_data LIMIT 3
    """
    from copperline.warehouse import format_value
    from copperline.workflows.querying import query_warehouse

    parameters = dict(_parameter(text) for text in param or [])
    result = query_warehouse(settings_for(workspace), query, parameters, model=model, write=write, limit=limit)
    if json_:
        print_json({"columns": result.columns, "rows": result.to_dicts(), "truncated": result.truncated})
        return
    if result.columns:
        print_table("", result.columns, [[format_value(value) for value in row] for row in result.rows])
        more = f"; there are more, see --limit (now {limit})" if result.truncated else ""
        say(f"{len(result.rows)} rows{more}.")
    else:
        say(f"{result.changed or 0} rows changed.")


def _parameter(text: str) -> tuple[str, str | int | float | None]:
    """`name=value`: a number is bound as a number, `null` as NULL, anything else, or what is in quotes, as text.

    >>> _parameter("n=5"), _parameter("board=00041000"), _parameter("line='5'"), _parameter("x=null")
    (('n', 5), ('board', '00041000'), ('line', '5'), ('x', None))
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise SettingsError(f"expected name=value, found {text!r}", where="--param", fix="write, e.g., --param line=L1")
    if value == "null":
        return name, None
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return name, value[1:-1]
    for kind in (int, float):
        try:
            number = kind(value)
        except ValueError:
            continue
        # A board id such as 00041000 is a text, although it can be read as a number.
        if str(number) == value:
            return name, number
    return name, value
