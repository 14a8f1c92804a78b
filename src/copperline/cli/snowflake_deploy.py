"""`copperline snowflake deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, print_json, say, settings_for

if TYPE_CHECKING:
    from copperline.settings import Settings
    from copperline.workflows.snowflake_deployment import Deployment, Part

_PARTS = ("data", "model", "notebook", "app")


def deploy(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PART", help=f"One of {', '.join(_PARTS)}; may be given again. Default: all."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Labelled boards for PCB_LABELED_DATA: a folder, or a name in the workspace."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Becomes the account's champion: a version or alias of the registry here, or "
                     "builtin:NAME. Default: the champion."),
    ] = None,
    notebook: Annotated[Path | None, typer.Option("--notebook", help="Another .ipynb than Copperline's own.")] = None,
    project: Annotated[
        Path | None,
        typer.Option("--project", help="Write app and notebook to this folder, for Snowflake's own command line, and "
                     "send nothing."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show files and SQL, and do nothing.")] = False,
    releases: Annotated[
        bool, typer.Option("--releases", help="Show what is on the stage, half-sent too, and which of it runs.")
    ] = False,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:  # fmt: skip
    """Bring dashboard, notebook, champion and labelled boards into the account; a repeat sends what is missing."""
    from copperline.workflows.snowflake_deployment import deploy as deploy_parts
    from copperline.workflows.snowflake_deployment import planned, write_project

    settings = settings_for(workspace)
    if releases:
        _show_releases(settings, json_)
        return
    deployment = planned(settings, _chosen(only), data=data, model=model, notebook=notebook)
    if dry_run:
        _show(deployment, json_)
        return
    if project is not None:
        write_project(deployment, project)
        if json_:
            print_json({"project": str(project.absolute())})
            return
        say(f"Wrote {project}.", f"Next: cd {project}; snow streamlit deploy dashboard (then see snowflake.yml)")
        return
    from copperline.snowflake.session import session_for
    from copperline.workflows.snowflake_deployment.address import app_address

    done = []
    with session_for(settings.snowflake) as session:
        for part in deploy_parts(session, deployment):
            done.append(part)
            if not json_:
                say(part.said if part.changed else f"{part.said} Nothing was sent.")
        address = app_address(session, settings.snowflake) if deployment.app is not None else None
    if json_:
        parts = {p.part: {"changed": p.changed, "sent_files": p.sent_files, "said": p.said} for p in done}
        print_json({"parts": parts, "dashboard": address})
        return
    if deployment.app is not None:
        name = settings.snowflake.streamlit
        say(f"Dashboard: {address}" if address else f"Dashboard: in Snowsight under Projects, Streamlit, {name}")
        say(f"Next: GRANT ROLE {settings.snowflake.reader_role} TO USER ..., for each who is to look at it")
    else:
        say("Next: copperline snowflake status")


def _chosen(only: list[str] | None) -> tuple[Part, ...]:
    from copperline.errors import SettingsError
    from copperline.workflows.snowflake_deployment import PARTS

    unknown = sorted(set(only or ()) - set(PARTS))
    if unknown:
        raise SettingsError(f"--only: expected one of {', '.join(PARTS)}, found {unknown[0]!r}", fix="correct it")
    return tuple(part for part in PARTS if not only or part in only)


def _show(deployment: Deployment, json_: bool) -> None:
    from copperline.workflows.snowflake_deployment import planned_statements

    statements = list(planned_statements(deployment))
    stage = deployment.settings.snowflake.stage
    files = [
        {"path": f"@{stage}/{release.folder}/{path}", "bytes": len(release.files[path]), "sha256": sha256}
        for release in deployment.releases
        for path, sha256 in release.sha256.items()
    ]
    boards = None if deployment.boards is None else len(deployment.boards)
    if json_:
        sql = [{"why": why, "sql": statement} for why, statement in statements]
        print_json({"boards": boards, "model": deployment.model, "files": files, "statements": sql})
        return
    say("-- What copperline snowflake deploy would do; nothing was sent.")
    if boards is not None:
        say(f"-- {boards:,} labelled boards to PCB_LABELED_DATA, without those that are there")
    if deployment.model is not None:
        say(f"-- {deployment.model} as version of {deployment.settings.snowflake.model}, and its champion")
    for file in files:
        say(f"-- {file['sha256']} {file['bytes']:>10,} bytes  {file['path']}")
    for why, statement in statements:
        say(f"-- {why}", f"{statement};")


def _show_releases(settings: Settings, json_: bool) -> None:
    from dataclasses import asdict

    from copperline.cli.options import print_table
    from copperline.snowflake.session import session_for
    from copperline.workflows.snowflake_deployment.deployed_releases import deployed_releases

    with session_for(settings.snowflake) as session:
        found = deployed_releases(session, settings.snowflake)
    if json_:
        print_json({"releases": [asdict(release) for release in found]})
        return
    print_table(
        f"On the stage {settings.snowflake.stage}",
        ("of", "release", "files", "bytes", "state"),
        [(r.kind, r.name, r.files, f"{r.size:,}", _state(r.complete, r.runs)) for r in found],
    )
    half = [release for release in found if not release.complete]
    if half:
        say("Next: copperline snowflake deploy, which sends what is missing")
    else:
        say("Next: copperline snowflake status" if found else "Next: copperline snowflake deploy")


def _state(complete: bool, runs: bool) -> str:
    return "half-sent" if not complete else "in use" if runs else "not in use"
