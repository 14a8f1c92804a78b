"""Pairs of synthetic boards per second: with and without JPEG compression, on one and two processes.

Run: python benchmarks/synthetic_speed.py [pairs]
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace

from copperline.data.synthetic import ScanSettings, generate_pairs


def pairs_per_second(count: int, processes: int, scan: ScanSettings) -> float:
    """Measured from the first pair on, so that the start of the processes (once, under a second) is left out."""
    pairs = generate_pairs(count + 1, seed=1, processes=processes, scan=scan)
    next(pairs)
    start = time.perf_counter()
    for _ in pairs:
        pass
    return count / (time.perf_counter() - start)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{count} pairs of 640 x 640 px, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for processes in (1, 2):
        for name, scan in (("with JPEG", ScanSettings()), ("without JPEG", replace(ScanSettings(), jpeg_quality=None))):
            print(f"{processes} process(es), {name}: {pairs_per_second(count, processes, scan):.1f} pairs/s")


if __name__ == "__main__":
    main()
