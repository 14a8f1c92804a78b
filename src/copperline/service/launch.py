"""A service of its own in another process, for a simulated line, scripts and tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from copperline.errors import SettingsError
from copperline.local_server import ended_afterwards, wait_until_healthy
from copperline.settings import Settings

# What it has accepted it finishes first.
STOP_SECONDS = 30.0


@contextmanager
def running_service(settings: Settings, *, model: str = "champion") -> Iterator[str]:
    """The address of a service on this workspace that is ready, while the block runs; only this machine reaches it.

    Raises:
        SettingsError: it did not come up.
    """
    by_hand = f"copperline serve --model {model} --workspace {settings.workspace}"
    # The system chooses the port: one that is free now may be taken when the service comes to listen.
    command = [sys.executable, "-m", "copperline", "serve", "--port", "0", "--model", model]
    environment = {**os.environ, "COPPERLINE_WORKSPACE": str(settings.workspace.absolute())}
    with (
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process,
        ended_afterwards(process, STOP_SECONDS),
    ):
        assert process.stdout is not None
        words = process.stdout.readline().split()  # `Service: URL ...`, or nothing if it has ended
        if len(words) < 2:
            raise SettingsError("expected the service to start, found that it does not", fix=f"run `{by_hand}`")
        wait_until_healthy(process, f"{words[1]}/readyz", by_hand=by_hand)
        yield words[1]
