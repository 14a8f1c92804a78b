"""Writes docs/cli.md from the commands themselves: `python scripts/cli_reference.py`. A test fails when it is stale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from copperline.cli.app import app

TARGET = Path(__file__).parents[1] / "docs" / "cli.md"
HEADER = """# Command line

Written by `python scripts/cli_reference.py` from the commands themselves.

Every command prints what it made and what to do next. With `--json` its last line on stdout is one JSON object;
progress goes to stderr. The exit status is 0 only on success; an error is one line on stderr that says what was
expected, what was found and what to do. Settings that hold for all commands are in [settings.md](settings.md).
"""


def render() -> str:
    root = typer.main.get_command(app)
    return HEADER + "".join(_section(path, command) for path, command in _commands(root, ("copperline",)))


# Typer brings a Click of its own in some versions, so its classes are not named here.
def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from _commands(child, (*path, name))


def _section(path: tuple[str, ...], command: Any) -> str:
    context = command.context_class(command, info_name=" ".join(path))
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"\n## {' '.join(path)}\n", f"{command.help or ''}\n", f"```\n{' '.join(path)} {usage}\n```\n"]
    rows = [row for parameter in command.params if (row := _row(parameter)) is not None]
    return "\n".join([*lines, "| | | |", "|---|---|---|", *rows]) + "\n"


def _row(parameter: Any) -> str | None:
    if "--help" in parameter.opts:
        return None
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = f"`{(parameter.metavar or parameter.name).upper()}`"
    default = parameter.default
    shown = "required" if parameter.required else "" if default in (None, False, ()) else f"default `{default}`"
    names = names.replace("|", "\\|")
    return f"| {names} | {getattr(parameter, 'help', '') or ''} | {shown} |"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
