"""Memory that was freed is there again without the kernel: counted in a process of its own, by its page faults."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from copperline.training.memory import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()
torch.set_num_threads(1)


def step():
    layers = [torch.ones(1 << 20) for _ in range(16)]  # 4 MiB each


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


step()
before = faults()
for _ in range(10):
    step()
print(faults() - before)
"""


def faults(how: str) -> int:
    ran = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True, timeout=120)
    return int(ran.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_used_again() -> None:
    taken_anew = 10 * 16 * (4 << 20) // resource.getpagesize()
    assert faults("kept") < taken_anew / 100
    assert faults("given back") > taken_anew / 10
