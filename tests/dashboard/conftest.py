"""A dashboard page in this process on a workspace of its own; and the real server in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("streamlit")

import streamlit as st
from streamlit.testing.v1 import AppTest

START_SECONDS = 60.0


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty; what the pages cache belongs to the last test's and is dropped."""
    folder = tmp_path / "workspace"
    monkeypatch.setenv("COPPERLINE_WORKSPACE", str(folder))
    monkeypatch.setenv("COPPERLINE_THREADS", "1")
    st.cache_data.clear()
    st.cache_resource.clear()
    return folder


@pytest.fixture
def open_page(workspace: Path) -> Callable[..., AppTest]:
    """Opens a page as the shell does, with what its address says: `open_page("vision_lab", source="Upload")`."""

    def page(module: str) -> None:
        import importlib

        from copperline.dashboard.failures import show_failure
        from copperline.errors import CopperlineError

        try:
            importlib.import_module(f"copperline.dashboard.pages.{module}").page()
        except CopperlineError as error:
            show_failure(error)

    def opened(module: str, **address: str) -> AppTest:
        app = AppTest.from_function(page, args=(module,), default_timeout=60)
        for name, value in address.items():
            app.query_params[name] = value
        return app.run()

    return opened


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(url: str) -> str | None:
    """The text at `url`, or None while nobody listens there."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return str(response.read().decode())
    except (urllib.error.URLError, ConnectionError):
        return None


def wait_for(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} took longer than {seconds:.0f} seconds"
        time.sleep(0.05)


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts a command that listens on `port`, in `tmp_path`, and waits until `path` answers; ends it afterwards."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, port: int, path: str = "/", **variables: str) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)

        def answers() -> bool:
            if process.poll() is not None:
                pytest.fail(f"{arguments} ended with {process.returncode}: {process.communicate()[0]}")
            return answer(f"http://127.0.0.1:{port}{path}") is not None

        wait_for(answers, "the start")
        return Running(process, port)

    yield run
    for process in started:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@pytest.fixture
def start_dashboard(start: Callable[..., Running]) -> Callable[..., Running]:
    """The command `copperline dashboard`, with options and variables of the environment.

    `before` is called with the port, to write what depends on it.
    """

    def run(*options: str, before: Callable[[int], None] = lambda port: None, **variables: str) -> Running:
        port = free_port()
        before(port)
        command = ("copperline", "dashboard", "--no-browser", "--port", str(port), *options)
        return start(*command, port=port, path="/_stcore/health", **variables)

    return run


@pytest.fixture
def port_of_provider() -> int:
    return free_port()
