"""The dashboard under test: a page in this process, and the real server before a headless Chromium.

Playwright's loop runs in the main thread from the first use of `browser` to the end of this folder: tests here take
that fixture and start no Playwright of their own, and none of them may call `asyncio.run`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit")

import streamlit as st
from streamlit.testing.v1 import AppTest

from copperline.dashboard.launch import Server, command, environment
from copperline.settings import Settings

SWITCHES = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
START_SECONDS = 60.0
PATIENCE_MS = 90_000
QUIET_MS = 300
WINDOW: dict[str, Any] = {"viewport": {"width": 1500, "height": 1200}, "accept_downloads": True}

# Streamlit has nothing left to do, and that for a while: a click only starts a run a moment later.
_READY = """quiet => {
    const app = document.querySelector('[data-testid=stApp]')
    const busy = !app || app.dataset.testScriptState !== 'notRunning'
        || document.querySelector('[data-testid=stSkeleton], [data-stale=true]')
        || [...document.querySelectorAll('[data-testid=stPlotlyChart]')].some(c => !c.querySelector('.main-svg'))
    if (busy) { window.copperlineQuietSince = undefined; return false }
    window.copperlineQuietSince ??= performance.now()
    return performance.now() - window.copperlineQuietSince > quiet
}"""


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """AppTest leaves its script as `__main__`, which every process that this one starts later would run again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty; what the pages cache belongs to the last test's and is dropped."""
    folder = tmp_path / "workspace"
    monkeypatch.chdir(tmp_path)
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

        from copperline.dashboard.failures import failures_shown

        with failures_shown():
            importlib.import_module(f"copperline.dashboard.pages.{module}").page()

    def opened(module: str, **address: str | list[str]) -> AppTest:
        app = AppTest.from_function(page, args=(module,), default_timeout=60)
        for name, value in address.items():
            app.query_params[name] = value
        return app.run()

    return opened


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    url: str
    log: Path


@pytest.fixture(scope="session")
def serve() -> Callable[..., Any]:
    """`with serve(workspace, read_only=True, COPPERLINE_TIME_ZONE="Asia/Tokyo") as served`: ended in any case."""

    @contextmanager
    def running(workspace: Path, *, read_only: bool = False, **variables: str) -> Iterator[Served]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            server = Server(port=probe.getsockname()[1], read_only=read_only, open_browser=False)
        settings = Settings(workspace=workspace)
        one_core = {"COPPERLINE_THREADS": "1", "OMP_NUM_THREADS": "1"}
        workspace.parent.mkdir(parents=True, exist_ok=True)
        log = workspace.parent / f"server-{server.port}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                command(server),
                cwd=workspace.parent,
                env={**environment(settings, server), **one_core, **variables},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
            try:
                _wait_until_it_answers(process, server.url, log)
                yield Served(server.url, log)
            finally:
                process.terminate()
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    return running


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.05)


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of this folder."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=list(SWITCHES))
        yield started
        started.close()


@pytest.fixture(scope="session")
def ready() -> Callable[[Any], Any]:
    """Waits until Streamlit has finished and charts are drawn; gives the page."""

    def wait(page: Any) -> Any:
        page.wait_for_function(_READY, arg=QUIET_MS, polling=50)
        return page

    return wait


@pytest.fixture(scope="session")
def eventually() -> Callable[[Any, Callable[[], None]], None]:
    """Tries a check, which asserts, until it passes: what a click brings comes a moment later."""

    def tried(page: Any, check: Callable[[], None]) -> None:
        until = time.monotonic() + PATIENCE_MS / 1000
        while True:
            try:
                return check()
            except AssertionError:
                if time.monotonic() > until:
                    raise
            page.wait_for_timeout(100)

    return tried


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Any, str], list[list[str]]]:
    """The rows in sight of the table in the container `table-KEY`, as a screen reader is told of them."""

    def read(page: Any, key: str) -> list[list[str]]:
        place = page.locator(f".st-key-table-{key}")
        place.scroll_into_view_if_needed()
        place.locator("canvas table tbody td").first.wait_for(state="attached")
        return [row.locator("td").all_text_contents() for row in place.locator("canvas table tbody tr").all()]

    return read


@pytest.fixture(scope="package")
def look(browser: Any, ready: Callable[[Any], Any]) -> Iterator[Callable[..., Any]]:
    """Opens an address in a tab and waits until the page is there. Tabs share a cache, and last as long as the browser.

    `fresh`: as a visitor without a past; so is one with options of a context. `clock`: time goes on by `page.clock`.
    `tab`: goes there in a tab that is open already, in half the time.
    """
    shared = browser.new_context(**WINDOW)

    def opened(url: str, *, fresh: bool = False, clock: bool = False, tab: Any = None, **options: Any) -> Any:
        if tab is None:
            context = browser.new_context(**{**WINDOW, **options}) if fresh or clock or options else shared
            context.set_default_timeout(PATIENCE_MS)
            tab = context.new_page()
        if clock:
            tab.clock.install()
        tab.goto(url)
        return ready(tab)

    yield opened
    for context in browser.contexts:
        context.close()


@pytest.fixture(scope="package")
def tabs() -> list[Any]:
    """Open tabs that no test uses now; pages leave nothing in a tab, sessions are connections."""
    return []


@pytest.fixture
def visit(look: Callable[..., Any], tabs: list[Any]) -> Iterator[Callable[..., Any]]:
    """As `look`, for one test; a tab that shows a traceback at its end fails the test."""
    pages: list[Any] = []
    again: list[Any] = []

    def opened(url: str, **options: Any) -> Any:
        tab = tabs.pop() if tabs and not options else None
        pages.append(look(url, tab=tab, **options))
        if not options:
            again.append(pages[-1])
        return pages[-1]

    yield opened
    for page in pages:
        assert page.get_by_test_id("stException").all_inner_texts() == []
        if page in again:
            page.goto("about:blank")  # ends the session
            tabs.append(page)
        else:
            page.close()


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


@contextmanager
def _commands(folder: Path) -> Iterator[Callable[..., Running]]:
    """Starts commands that listen on `port`, in `folder`, and waits until `path` answers; ends them afterwards."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, port: int, path: str = "/", **variables: str) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=folder,
            env={**os.environ, "HOME": str(folder), **variables},
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

    try:
        yield run
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _dashboards(start: Callable[..., Running]) -> Callable[..., Running]:
    def run(*options: str, before: Callable[[int], None] = lambda port: None, **variables: str) -> Running:
        port = free_port()
        before(port)
        command = ("copperline", "dashboard", "--no-browser", "--port", str(port), *options)
        return start(*command, port=port, path="/_stcore/health", **variables)

    return run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts a command that listens on `port`, in `tmp_path`, and waits until `path` answers; ends it afterwards."""
    with _commands(tmp_path) as run:
        yield run


@pytest.fixture
def start_dashboard(start: Callable[..., Running]) -> Callable[..., Running]:
    """The command `copperline dashboard`, with options and variables of the environment.

    `before` is called with the port, to write what depends on it.
    """
    return _dashboards(start)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `start_shared` starts its commands."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def start_shared(shared_folder: Path) -> Iterator[Callable[..., Running]]:
    """As `start`, for all tests of a file."""
    with _commands(shared_folder) as run:
        yield run


@pytest.fixture(scope="module")
def start_shared_dashboard(start_shared: Callable[..., Running]) -> Callable[..., Running]:
    """As `start_dashboard`, for all tests of a file."""
    return _dashboards(start_shared)


@pytest.fixture(scope="module")
def port_of_provider() -> int:
    return free_port()
