"""Memory that a training step frees stays with the process: the next step needs as much again."""

from __future__ import annotations

import ctypes
import platform

# Of mallopt(3). The C library takes no threshold above 32 MiB for the first.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_LARGEST_FROM_HEAP = 32 << 20
_KEPT = 1 << 30


def keep_freed_memory() -> bool:
    """Has glibc keep up to 1 GiB that is free, for as long as this process lives; whether it does.

    Otherwise a step gives the memory of its layers back to the kernel and takes it again, page by page, each of which
    is cleared first: about an eighth of the time of a step on a CPU.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_FROM_HEAP)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT))
