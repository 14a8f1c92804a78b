from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from copperline.dashboard.launch import READ_ONLY, Server, check, command, environment, has_screen
from copperline.errors import SettingsError
from copperline.local_server import require_free
from copperline.settings import Settings

pytest.importorskip("streamlit")


@pytest.mark.parametrize(
    ("host", "is_local", "url"),
    [
        ("127.0.0.1", True, "http://localhost:8501"),
        ("localhost", True, "http://localhost:8501"),
        ("::1", True, "http://localhost:8501"),
        ("0.0.0.0", False, "http://localhost:8501"),
        ("::", False, "http://localhost:8501"),
        ("10.1.2.3", False, "http://10.1.2.3:8501"),
        ("fd00::7", False, "http://[fd00::7]:8501"),
        ("line-3.plant.example", False, "http://line-3.plant.example:8501"),
    ],
)
def test_addresses(host: str, is_local: bool, url: str) -> None:
    server = Server(host)
    assert (server.is_local, server.url) == (is_local, url)


def test_the_command_sends_nothing_home_and_hides_tracebacks() -> None:
    words = command(Server("10.1.2.3", 9000, open_browser=False))
    assert words[:4] == [sys.executable, "-m", "copperline.dashboard.server", "run"]
    options = dict(word.removeprefix("--").split("=", 1) for word in words[5:])
    assert options["server.address"] == "10.1.2.3"
    assert options["server.port"] == "9000"
    assert options["server.headless"] == "true"
    assert options["browser.gatherUsageStats"] == "false"
    assert options["client.showErrorDetails"] == "none"
    assert tomllib.loads(Path(options["theme.base"]).read_text())["theme"]
    assert [Path(word.split("=")[1]).name for word in words if "secrets" in word] == ["secrets.toml"] * 2


def test_streamlit_finds_no_pages_that_it_could_run_past_the_sign_in() -> None:
    script = Path(command(Server())[4])
    assert script.is_file()
    assert not (script.parent / "pages").exists()


def test_streamlit_knows_every_option() -> None:
    from streamlit import config

    for word in command(Server())[5:]:
        name = word.removeprefix("--").split("=", 1)[0]
        assert config.get_option(name) is not NotImplemented, name  # an unknown name raises


def test_the_environment_carries_workspace_and_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.load(Path("here"))
    assert environment(settings, Server())["COPPERLINE_WORKSPACE"] == str(tmp_path / "here")
    assert READ_ONLY not in environment(settings, Server())
    assert environment(settings, Server(read_only=True))[READ_ONLY] == "1"


def test_sign_in_without_a_provider_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COPPERLINE_DASHBOARD_SIGN_IN", "true")
    with pytest.raises(SettingsError, match="dashboard_sign_in"):
        check(Settings.load(tmp_path), Server(port=0))


def test_the_apps_settings_do_not_serve_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPPERLINE_DASHBOARD_SIGN_IN", "snowflake")
    with pytest.raises(SettingsError, match=r"is for the app in Snowflake.*copperline snowflake deploy"):
        check(Settings.load(tmp_path), Server(port=0))


def child_of(process: subprocess.Popen[str]) -> int:
    """The process that serves, started by `process`."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list a process's children")
    (child,) = children.read_text().split()
    return int(child)


def is_running(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_and_a_signal_to_the_command_ends_the_server_too(
    start_dashboard: Callable[..., Any], number: signal.Signals
) -> None:
    running = start_dashboard()
    child = child_of(running.process)
    assert is_running(child)
    running.process.send_signal(number)
    output, _ = running.process.communicate(timeout=20)
    assert running.process.returncode == 0, output
    assert not is_running(child)
    require_free("127.0.0.1", running.port)
    assert "Traceback" not in output
    assert f"Dashboard: {running.url}" in output


@pytest.mark.skipif(sys.platform != "linux", reason="on other systems the browser is not chosen by BROWSER")
def test_the_page_is_opened_when_the_server_is_up(start: Callable[..., Any], tmp_path: Path) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}.part && mv {seen}.part {seen}\n')
    browser.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start(
        *("copperline", "dashboard", "--port", str(port)),
        port=port,
        path="/_stcore/health",
        BROWSER=f"{browser} %s",
        DISPLAY=":9",
    )
    deadline = time.monotonic() + 30
    while not seen.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert seen.read_text() == f"http://localhost:{port}\n"


def test_without_a_screen_no_browser_takes_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_screen()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert has_screen()
