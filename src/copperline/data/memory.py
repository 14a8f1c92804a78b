"""How much memory there still is."""

from __future__ import annotations

from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that this process can still take, on Linux; None where the system does not tell.

    The least of what the machine has free or can free, and what the limit of the process's container leaves.
    """
    known = [free for free in (_of_machine(), _of_container()) if free is not None]
    return min(known, default=None)


def _of_machine(file: Path = Path("/proc/meminfo")) -> int | None:
    lines = _lines(file)
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _of_container(cgroups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int | None:
    """By cgroup v2: the limit less what is in use and cannot be dropped; None without a limit."""
    paths = [line.removeprefix("0::/") for line in _lines(own) if line.startswith("0::/")]
    if not paths:
        return None
    folder = cgroups / paths[0]
    limit, used = _lines(folder / "memory.max"), _lines(folder / "memory.current")
    if not limit or not used or limit[0] == "max":
        return None
    cached = [int(line.split()[1]) for line in _lines(folder / "memory.stat") if line.startswith("inactive_file ")]
    return max(0, int(limit[0]) - int(used[0]) + sum(cached))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:  # another system, or a kernel without it
        return []
