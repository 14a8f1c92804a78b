"""Starting the dashboard's server: Streamlit in a process of its own, with Copperline's theme and nothing sent home."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from copperline.dashboard.sign_in import require_provider, secrets_files
from copperline.errors import SettingsError
from copperline.settings import Settings

HERE = Path(__file__).parent
SCRIPT = HERE / "script" / "serve.py"
READ_ONLY = "COPPERLINE_DASHBOARD_READ_ONLY"
# Vision Lab takes whole-panel scans: 16,384 px squared as an uncompressed bitmap is 256 MiB.
UPLOAD_MIB = 300
# How long the server may take to end once it was asked to.
STOP_SECONDS = 10.0
START_SECONDS = 60.0


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
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


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
    process = subprocess.Popen(
        command(server), env=environment(settings, server), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_healthy(server, process)
        yield f"{server.url}/"
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=2):
                return
        except OSError as error:  # urllib's errors are of this kind
            if time.monotonic() > deadline or process.poll() is not None:
                raise SettingsError(
                    f"expected the dashboard to answer within {START_SECONDS:.0f} s, found that it does not",
                    where=server.url,
                    fix="run `copperline dashboard` to see why",
                ) from error
        time.sleep(0.1)


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


def free_port(first: int = 8501, tries: int = 50) -> int:
    """The first port of loopback that nobody has, from `first` on; raises SettingsError if there is none."""
    for port in range(first, first + tries - 1):
        try:
            require_free("127.0.0.1", port)
        except SettingsError:
            continue
        return port
    require_free("127.0.0.1", first + tries - 1)
    return first + tries - 1


def has_screen() -> bool:
    """Whether a browser would have a window: without one, a text browser would take over the terminal."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_when_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    # If it does not come up, its own message on the terminal says why.
    with contextlib.suppress(SettingsError):
        _wait_until_healthy(server, process)
        webbrowser.open(server.url)


def require_free(host: str, port: int) -> None:
    """Raises SettingsError unless a server could listen there now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        # UnicodeError: what can be no host name at all, such as `a..b`.
        reason = error.strerror if isinstance(error, OSError) else "not a host name"
        raise SettingsError(
            f"expected an address that can be listened on, found that it cannot ({reason})",
            where=f"{host}:{port}",
            fix="choose another with --host or --port, or end the program that has it",
        ) from error
