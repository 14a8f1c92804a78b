"""`copperline dashboard`."""

from __future__ import annotations

from typing import Annotated

import typer

from copperline.cli.options import WorkspaceOption, say, settings_for


def dashboard(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="TCP port.")] = 8501,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="For a wall screen: nobody can review or promote.")
    ] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Serve the dashboard until Ctrl-C: overview, Vision Lab, review, process control, models."""
    from copperline.dashboard.launch import Server, check, serve

    settings = settings_for(workspace)
    server = Server(host, port, read_only, open_browser=not no_browser)
    check(settings, server)
    say(f"Dashboard: {server.url} (Ctrl-C ends it)")
    if not server.is_local and not (settings.dashboard_sign_in or read_only):
        say("Note: other machines can reach it, and everyone may review. See docs/dashboard.md for sign-in.")
    if settings.dashboard_sign_in and not settings.dashboard_reviewers:
        say("Note: dashboard_reviewers names nobody, so nobody may review or promote.")
    status = serve(settings, server)
    if status:
        raise typer.Exit(status)
