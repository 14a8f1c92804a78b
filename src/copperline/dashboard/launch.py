"""Starting the dashboard's server: Streamlit in a process of its own, with Copperline's theme and nothing sent home."""

from __future__ import annotations

import ipaddress
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from copperline.errors import SettingsError
from copperline.settings import Settings

HERE = Path(__file__).parent
READ_ONLY = "COPPERLINE_DASHBOARD_READ_ONLY"
# Vision Lab takes whole-panel scans: 16,384 px squared as an uncompressed bitmap is 256 MiB.
UPLOAD_MIB = 300


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how the dashboard is served.

    Attributes:
        host: address to listen on; anything but loopback lets other machines in.
        port: TCP port, 0 to 65535; 0: any free one.
        read_only: no review and no promotion can be made, whoever is signed in.
        open_browser: open the page in this machine's browser when the server is up.
    """

    host: str = "127.0.0.1"
    port: int = 8501
    read_only: bool = False
    open_browser: bool = True

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """For people on this machine."""
        host = "localhost" if self.is_local or self.host in ("0.0.0.0", "::") else self.host
        return f"http://{host}:{self.port}"


def command(server: Server) -> list[str]:
    """The command line that serves the dashboard."""
    options = {
        "server.address": server.host,
        "server.port": server.port,
        "server.headless": str(not server.open_browser).lower(),
        "server.fileWatcherType": "none",
        "server.maxUploadSize": UPLOAD_MIB,
        "browser.gatherUsageStats": "false",
        "browser.serverPort": server.port,
        "client.toolbarMode": "minimal",
        # Details of an error stay in the server's log; the page says what a user can do.
        "client.showErrorDetails": "none",
        "runner.magicEnabled": "false",
        "theme.base": HERE / "theme.toml",
    }
    return [
        *(sys.executable, "-m", "streamlit", "run", str(HERE / "app.py")),
        *(f"--{name}={value}" for name, value in options.items()),
    ]


def environment(settings: Settings, server: Server) -> dict[str, str]:
    """The variables that carry the settings to the server's process."""
    workspace = {"COPPERLINE_WORKSPACE": str(settings.workspace.absolute())}
    return {**os.environ, **workspace, **({READ_ONLY: "1"} if server.read_only else {})}


def serve(settings: Settings, server: Server) -> int:
    """Serves the dashboard until it is stopped, and gives its exit status; Ctrl-C ends it with 0.

    Raises:
        SettingsError: the port is taken, or the host is none of this machine's.
        ModuleNotFoundError: the extra `dashboard` is not installed.
    """
    import streamlit  # noqa: F401  # fails here, by name, and not in the other process

    require_free(server.host, server.port)
    process = subprocess.Popen(command(server), env=environment(settings, server))
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait(timeout=10)
        return 0
    finally:
        if process.poll() is None:
            process.kill()


def require_free(host: str, port: int) -> None:
    """Raises SettingsError unless a server could listen there now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise SettingsError(
            f"expected an address that can be listened on, found that it cannot ({error.strerror})",
            where=f"{host}:{port}",
            fix="choose another with --host or --port, or end the program that has it",
        ) from error
