"""Where a server can listen, and a real server's process that is up while a block runs."""

from __future__ import annotations

import os
import socket
import sys
import urllib.request

import pytest

from copperline.errors import SettingsError
from copperline.local_server import free_port, require_free, served


def test_a_taken_port_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{port}: .*in use.*--port"):
            require_free("127.0.0.1", port)
    require_free("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a..b", "x" * 70])
def test_a_host_of_another_machine_or_none_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="expected an address that can be listened on"):
        require_free(host, 8501)


def test_a_server_is_up_while_the_block_runs_and_gone_afterwards() -> None:
    port = free_port(18_000)
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    url = f"http://127.0.0.1:{port}/"
    with served(command, os.environ, url, by_hand="python -m http.server") as process:
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200
        with pytest.raises(SettingsError, match="in use"):
            require_free("127.0.0.1", port)
    assert process.poll() is not None
    require_free("127.0.0.1", port)


def test_a_server_that_does_not_come_up_is_told_of_with_what_to_do() -> None:
    with (
        pytest.raises(SettingsError, match="run `this` to see why"),
        served([sys.executable, "-c", ""], os.environ, "http://127.0.0.1:9/", by_hand="this"),
    ):
        pytest.fail("it never came up")
