"""Ending processes for certain: the workers when the command ends, and a worker when its command is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

STOP_S = 5.0
PARENT_EVERY_S = 0.5


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ends those that still run: asked first, then killed."""
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + STOP_S
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(deadline - time.monotonic(), 0))
    for process in running:
        if process.poll() is None:
            process.kill()
            with suppress(subprocess.TimeoutExpired):  # in the kernel's hands, such as of a hung GPU's driver
                process.wait(STOP_S)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as an exception does, so that what it started is stopped; the status is that of a shell.

    Outside the main thread, and where somebody else handles SIGTERM, it changes nothing.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end_without(parent: int) -> None:
    """Lets this process end soon after process `parent`, which started it, however that ends."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()
