"""`copperline models`: list, show, promote, export."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, print_json, print_table, say, settings_for

app = typer.Typer(help="The registry: versions, aliases, model cards.", no_args_is_help=True)

VersionArgument = Annotated[str, typer.Argument(help="A version number or an alias.")]


@app.command("list")
def list_(workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """List the registered versions, the newest first."""
    from copperline.registry import Registry

    versions = Registry(settings_for(workspace)).versions()
    if json_:
        print_json(
            {
                "versions": [
                    {
                        "name": v.name,
                        "version": v.version,
                        "aliases": v.aliases,
                        "created_at": v.created_at.isoformat(),
                        "sha256": v.sha256,
                        "path": str(v.model_path),
                    }
                    for v in versions
                ]
            }
        )
        return
    if not versions:
        say("No model is registered yet.", "Next: copperline train --data PATH")
        return
    print_table(
        versions[0].name,
        ("version", "aliases", "created (UTC)", "file"),
        [(v.version, ", ".join(v.aliases), f"{v.created_at:%Y-%m-%d %H:%M}", v.model_path) for v in versions],
    )
    say(f"Next: copperline models show {versions[0].version}")


@app.command()
def show(version: VersionArgument = "champion", workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """Show a version's model card."""
    from copperline.registry import Registry

    found = Registry(settings_for(workspace)).get(version)
    card = found.read_card()
    if json_:
        print_json({"version": found.version, "aliases": found.aliases, **card.model_dump(mode="json")})
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(card.to_markdown()))
    say(f"Next: copperline models promote {found.version}")


@app.command()
def promote(
    version: VersionArgument,
    alias: Annotated[str, typer.Option(help="champion or challenger.")] = "champion",
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Point an alias to a version; the file is verified first."""
    from copperline.registry import Registry

    promoted = Registry(settings_for(workspace)).promote(version, alias)
    if json_:
        print_json({"name": promoted.name, "version": promoted.version, "aliases": promoted.aliases})
        return
    say(
        f"{promoted.name} version {promoted.version} is now {alias}.",
        f"Next: copperline inspect IMAGE --reference REFERENCE --model {alias}",
    )


@app.command()
def export(
    version: VersionArgument,
    file: Annotated[Path, typer.Argument(help="The .onnx file to write; its card goes beside it.")],
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Copy a version's ONNX file and card out of the registry; the file alone is enough to inspect."""
    from copperline.files import atomic_file
    from copperline.registry import Registry

    registry = Registry(settings_for(workspace))
    found, resolved = registry.get(version), registry.resolve(version)
    card = found.read_card().to_markdown()
    with atomic_file(file) as temporary:
        shutil.copyfile(resolved.path, temporary)
    with atomic_file(file.with_suffix(".md")) as temporary:
        temporary.write_text(card, encoding="utf-8")
    if json_:
        print_json({"name": found.name, "version": found.version, "file": str(file), "sha256": found.sha256})
        return
    say(
        f"Wrote {file} and {file.with_suffix('.md')}.",
        f"Next: copperline inspect IMAGE --reference REFERENCE --model {file}",
    )
