"""The command's root: its groups, its options for all commands, and how errors end."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from copperline.cli import (
    alerts,
    audit,
    cluster,
    dashboard,
    data,
    demo,
    evaluate,
    export,
    inspect,
    keys,
    models,
    references,
    serve,
    simulate_line,
    sinks,
    snowflake,
    sql,
    train,
    warehouse,
    watch,
)
from copperline.errors import CopperlineError

# Modules that the base install does not bring -> the extra that does.
EXTRAS = {
    "torch": "train",
    "onnx": "train",
    "streamlit": "dashboard",
    "plotly": "dashboard",
    "authlib": "dashboard",
    "fastapi": "service",
    "uvicorn": "service",
    "prometheus_client": "service",
    "httpx": "service",
    "paho": "mqtt",
    "pyarrow": "export",
    "ray": "ray",
    "snowflake": "snowflake",
}

app = typer.Typer(
    name="copperline",
    help="Finds manufacturing defects on printed circuit boards and turns them into quality decisions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(models.app, name="models")
app.command("inspect")(inspect.inspect)
app.command("watch")(watch.watch)
app.add_typer(references.app, name="references")
app.command("sql")(sql.sql)
app.add_typer(warehouse.app, name="warehouse")
app.add_typer(export.app, name="export")
app.add_typer(cluster.app, name="cluster")
app.add_typer(snowflake.snowflake, name="snowflake")
app.add_typer(sinks.app, name="sinks")
app.add_typer(alerts.app, name="alerts")
app.command("serve")(serve.serve)
app.add_typer(keys.app, name="keys")
app.command("audit")(audit.audit)
app.command("simulate-line")(simulate_line.simulate_line)
app.command("dashboard")(dashboard.dashboard)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("copperline"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Finds manufacturing defects on printed circuit boards and turns them into quality decisions."""


def main() -> None:
    """Runs the command. What a user can act on ends in one line on stderr and status 1; Ctrl-C in status 130."""
    try:
        app()
    except CopperlineError as error:
        _end(str(error), 1)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        _end(
            f"this command needs {error.name}, which is not installed; pip install 'copperline[{EXTRAS[error.name]}]'",
            1,
        )
    except OSError as error:
        # The disk is full, a folder is read-only, ...: the system's words name the file.
        _end(f"{error.filename or 'the system'}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        _end("interrupted; nothing is half-written, and a training run goes on with `copperline train --resume`", 130)


def _end(message: str, status: int) -> None:
    sys.stderr.write(f"error: {message}\n" if status == 1 else f"{message}\n")
    sys.exit(status)
