"""`copperline snowflake`: setup, status, teardown, costs."""

from __future__ import annotations

import typer

snowflake = typer.Typer(
    help="The same on Snowflake: make what an account needs, look at it, remove it.", no_args_is_help=True
)
