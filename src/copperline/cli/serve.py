"""`copperline serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from copperline.cli.options import ModelOption, WorkspaceOption, say, settings_for


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0: any free one.")] = 8100,
    model: ModelOption = "champion",
    workspace: WorkspaceOption = None,
) -> None:
    """Serve inspections over HTTP until Ctrl-C; when the alias moves, the new model takes over."""
    from copperline.service.server import Server, serve

    settings = settings_for(workspace)

    def listening(url: str) -> None:
        say(
            f"Service: {url} (Ctrl-C ends it)",
            f"Next: curl -F image=@BOARD.jpg -F board_id=B1 -F station_id=AOI-1 {url}/v1/inspections",
        )

    serve(settings, Server(host, port, model), listening=listening)
    say("The service has ended; what it had accepted is finished.")
