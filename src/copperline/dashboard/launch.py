"""Starting the dashboard's server: Streamlit in a process of its own, with Copperline's theme and nothing sent home."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from copperline.dashboard.sign_in import require_provider, secrets_files
from copperline.errors import SettingsError
from copperline.local_server import Address, require_free, served, wait_until_healthy
from copperline.settings import Settings

HERE = Path(__file__).parent
SCRIPT = HERE / "script" / "serve.py"
READ_ONLY = "COPPERLINE_DASHBOARD_READ_ONLY"
# Vision Lab takes whole-panel scans: 16,384 px squared as an uncompressed bitmap is 256 MiB.
UPLOAD_MIB = 300
# How long the server may take to end once it was asked to.
STOP_SECONDS = 10.0
START_SECONDS = 60.0
FIRST_PORT = 8501
BY_HAND = "copperline dashboard"


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
    port: int = FIRST_PORT
    read_only: bool = False
    open_browser: bool = True

    @property
    def _address(self) -> Address:
        return Address(self.host, self.port)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self._address.is_local

    @property
    def url(self) -> str:
        """For people on this machine."""
        return self._address.url

    @property
    def health_url(self) -> str:
        return f"{self.url}/_stcore/health"


def command(server: Server) -> list[str]:
    """The command line that serves the dashboard."""
    options = {
        "server.address": server.host,
        "server.port": server.port,
        # Otherwise Streamlit asks for an e-mail address at the first start, and shows developers' hints on the page.
        "server.headless": "true",
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
        *(sys.executable, "-m", "copperline.dashboard.server", "run", str(SCRIPT)),
        *(f"--{name}={value}" for name, value in options.items()),
        # Not from beside the script too, where Streamlit would look: that is inside the installed package.
        *(f"--secrets.files={file}" for file in secrets_files()),
    ]


def environment(settings: Settings, server: Server) -> dict[str, str]:
    """The variables that carry the settings to the server's process."""
    workspace = {"COPPERLINE_WORKSPACE": str(settings.workspace.absolute())}
    return {**os.environ, **workspace, **({READ_ONLY: "1"} if server.read_only else {})}


def check(settings: Settings, server: Server) -> None:
    """Whether the dashboard can be served.

    Raises:
        SettingsError: the port is taken, the host is none of this machine's, or people are to sign in and no provider
            is set.
        ModuleNotFoundError: the extra `dashboard` is not installed.
    """
    import streamlit  # noqa: F401  # fails here, by name, and not in the other process

    if settings.dashboard_sign_in == "snowflake":
        raise SettingsError(
            "setting 'dashboard_sign_in': snowflake is for the app in Snowflake, whose visitors are signed in there",
            fix="set it to true or false for a server of your own, or run copperline snowflake deploy",
        )
    if settings.dashboard_sign_in:
        import authlib  # type: ignore[import-untyped] # noqa: F401

        require_provider(secrets_files())
    require_free(server.host, server.port)


def serve(settings: Settings, server: Server) -> int:
    """Serves the dashboard until it is stopped, and gives its exit status; Ctrl-C and SIGTERM end it with 0.

    Call it in the main thread. Raises as `check`.
    """
    check(settings, server)
    # Without this a service manager's SIGTERM would end this process alone, and leave the server behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(server, environment(settings, server))
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def running(settings: Settings, server: Server) -> Iterator[str]:
    """The address of a server that answers, while the block runs; for scripts and tests. Raises as `check`.

    Raises:
        SettingsError: it did not come up.
    """
    check(settings, server)
    with served(command(server), environment(settings, server), server.health_url, by_hand=BY_HAND):
        yield f"{server.url}/"


def _run(server: Server, variables: dict[str, str]) -> int:
    process = subprocess.Popen(command(server), env=variables)
    if server.open_browser and has_screen():
        threading.Thread(target=_open_when_ready, args=(server, process), daemon=True, name="browser").start()
    try:
        return process.wait()
    except KeyboardInterrupt:
        # A terminal's Ctrl-C has reached it as well; a signal to this process alone has not.
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        return 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def has_screen() -> bool:
    """Whether a browser would have a window: without one, a text browser would take over the terminal."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_when_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    # If it does not come up, its own message on the terminal says why.
    with contextlib.suppress(SettingsError):
        wait_until_healthy(process, server.health_url, by_hand=BY_HAND, seconds=START_SECONDS)
        webbrowser.open(server.url)
