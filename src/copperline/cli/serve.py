"""`copperline serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from copperline.cli.options import ModelOption, WorkspaceOption, say, settings_for


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0: any free one.")] = 8100,
    model: ModelOption = "champion",
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate of this server, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM, not encrypted.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="Who signs the certificates of clients, PEM; each then needs one.")
    ] = None,
    open_to_network: Annotated[
        bool, typer.Option("--open-to-network", help="Let other machines do everything, without any key.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Serve inspections over HTTP until Ctrl-C; when the alias moves, the new model takes over."""
    from copperline.service.server import Server, serve
    from copperline.service.tls import TlsFiles

    settings = settings_for(workspace)

    def listening(url: str) -> None:
        say(
            f"Service: {url} (Ctrl-C ends it)",
            f"Next: curl -F image=@BOARD.jpg -F board_id=B1 -F station_id=AOI-1 {url}/v1/inspections",
        )

    server = Server(host, port, model, TlsFiles.of(tls_cert, tls_key, tls_client_ca), open_to_network)
    serve(settings, server, listening=listening)
    say("The service has ended; what it had accepted is finished.")
