"""A service of its own in another process, for a simulated line, scripts and tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from copperline.local_server import free_port, served
from copperline.settings import Settings

FIRST_PORT = 8100


@contextmanager
def running_service(settings: Settings, *, model: str = "champion") -> Iterator[str]:
    """The address of a service on this workspace that is ready, while the block runs; only this machine reaches it.

    Raises:
        SettingsError: it did not come up.
    """
    port = free_port(FIRST_PORT)
    address = f"http://127.0.0.1:{port}"
    workspace = str(settings.workspace.absolute())
    command = [sys.executable, "-m", "copperline", "serve", "--port", str(port), "--model", model]
    environment = {**os.environ, "COPPERLINE_WORKSPACE": workspace}
    by_hand = f"copperline serve --model {model} --workspace {settings.workspace}"
    with served(command, environment, f"{address}/readyz", by_hand=by_hand, stop_seconds=30):
        yield address
