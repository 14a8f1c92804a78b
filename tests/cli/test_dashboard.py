"""`copperline dashboard`: what is said before a server starts. That it serves: tests/dashboard/test_launch.py."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from copperline.dashboard import launch

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_taken_port(copperline: Run, taken: int) -> None:
    ran = copperline("dashboard", "--no-browser", "--port", taken)
    assert ran.status == 1
    assert ran.out == ""
    assert ran.err.startswith(f"error: 127.0.0.1:{taken}: ")
    assert "choose another with --host or --port" in ran.err
    assert ran.err.count("\n") == 1


def test_a_host_that_is_not_here(copperline: Run) -> None:
    ran = copperline("dashboard", "--no-browser", "--host", "192.0.2.1")
    assert ran.status == 1
    assert ran.err.startswith("error: 192.0.2.1:8501: expected an address that can be listened on")


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_is_none(copperline: Run, port: str) -> None:
    assert copperline("dashboard", "--port", port).status == 2


def test_sign_in_without_a_provider(copperline: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_DASHBOARD_SIGN_IN", "true")
    ran = copperline("dashboard", "--no-browser")
    assert ran.status == 1
    assert ran.err.startswith("error: setting 'dashboard_sign_in': expected [auth] in ")


@pytest.mark.parametrize("module", ["streamlit", "authlib"])
def test_without_the_extra_it_says_what_to_install(module: str) -> None:
    code = (
        f"import os, sys; sys.modules[{module!r}] = None; os.environ['COPPERLINE_DASHBOARD_SIGN_IN'] = 'true'\n"
        "sys.argv = ['copperline', 'dashboard', '--no-browser']\n"
        "from copperline.cli import main; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr == (
        f"error: this command needs {module}, which is not installed; pip install 'copperline[dashboard]'\n"
    )


@pytest.mark.parametrize(
    ("options", "sign_in", "note"),
    [
        ((), False, ""),
        (("--host", "0.0.0.0"), False, "everyone may review"),
        (("--host", "0.0.0.0", "--read-only"), False, ""),
        ((), True, "nobody may review or promote"),
    ],
)
def test_who_may_do_what_is_said_at_the_start(
    copperline: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], sign_in: bool, note: str
) -> None:
    monkeypatch.setenv("COPPERLINE_DASHBOARD_SIGN_IN", str(sign_in))
    # What is said comes before the server, which is not the question here.
    monkeypatch.setattr(launch, "check", lambda settings, server: None)
    monkeypatch.setattr(launch, "serve", lambda settings, server: 0)
    ran = copperline("dashboard", "--no-browser", *options)
    assert ran.status == 0, ran.err
    first, _, rest = ran.out.partition("\n")
    assert first == "Dashboard: http://localhost:8501 (Ctrl-C ends it)"
    assert note in rest
    assert bool(rest) is bool(note)
