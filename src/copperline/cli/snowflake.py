"""`copperline snowflake`."""

from __future__ import annotations

import typer

from copperline.cli.snowflake_train import train

snowflake = typer.Typer(
    help="The same on Snowflake: make what an account needs, look at it, remove it.", no_args_is_help=True
)
snowflake.command("train")(train)
