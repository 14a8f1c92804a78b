"""A process that is ended from outside still says what to do; one that leaves by itself says nothing."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

CODE = """
import os, signal, subprocess, sys
from copperline.cluster.last_words import last_words
with last_words("start again; it's all \\"there\\" $HOME"):
    children = subprocess.Popen(["sleep", "30"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    {how}
"""


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("os._exit(1)", True),
        ("os.kill(os.getpid(), signal.SIGKILL)", True),
        ("pass", False),
        ("sys.exit(3)", False),
    ],
)
def test_the_last_words_are_said_only_when_the_block_is_not_left(how: str, said: bool) -> None:
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(how=how)], capture_output=True, text=True, check=False, timeout=20
    )
    assert done.stderr == ('start again; it\'s all "there" $HOME\n' if said else "")
    assert time.monotonic() - start < 15, "a child of the process must not keep them back"
