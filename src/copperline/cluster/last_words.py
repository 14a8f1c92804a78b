"""What is said when Ray ends this process, as it does when the part of the cluster that it talks to is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Waits for a word; without one, because whoever holds the other end is gone, it says its argument.
_SPEAKER = 'read -r word || printf "%s\\n" "$1" >&2'


@contextmanager
def last_words(message: str) -> Iterator[None]:
    """Has `message` said on standard error if this process ends inside the block, by Ray or by a signal.

    No handler of this process could: Ray leaves by `_exit`. A shell says it, where there is one.
    """
    if os.name != "posix":
        yield
        return
    # In a session of its own: Ctrl-C is for this process, which then leaves the block.
    command = ["/bin/sh", "-c", _SPEAKER, "sh", message]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True) as speaker:
        assert speaker.stdin is not None
        try:
            yield
        finally:
            with suppress(BrokenPipeError):  # somebody ended it: then there is nothing to hold back
                speaker.stdin.write(b"well\n")
                speaker.stdin.close()
