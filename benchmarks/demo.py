"""Runs `copperline demo` from scratch in a new workspace and holds what it reached against the aims.

    python benchmarks/demo.py --data PATH     DeepPCB: mAP50 >= 98 %, < 5 % false-call boards, <= 15 min of training
    python benchmarks/demo.py                 without data or network: >= 95 % of defects found, <= 6 min in all

Run it on a machine with nothing else to do; the second under `unshare -n` to be sure that nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time

PEAK_GIB = 4.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="DeepPCB's PCBData; without it the demo draws boards (or downloads)")
    parser.add_argument("--epochs", type=int)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="copperline-benchmark-") as workspace:
        command = [sys.executable, "-m", "copperline", "demo", "--json", "--no-dashboard", "--workspace", workspace]
        command += ["--data", arguments.data] if arguments.data else []
        command += ["--epochs", str(arguments.epochs)] if arguments.epochs else []
        started = time.perf_counter()
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        seconds = time.perf_counter() - started
    if run.returncode:
        return run.returncode
    figures = json.loads(run.stdout.splitlines()[-1])
    false_calls = figures["false_call_boards"] / figures["clean_boards"]
    # ru_maxrss is in KiB on Linux; the largest child is the demo itself.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    aims = [("peak memory, GiB", peak, "<=", PEAK_GIB)]
    if arguments.data:
        aims += [
            ("mAP50, %", 100 * figures["map50"], ">=", 98.0),
            ("clean boards with a false call, %", 100 * false_calls, "<=", 5.0),
            ("training, min", figures["train_seconds"] / 60, "<=", 15.0),
        ]
    else:
        aims += [
            ("defects found on unseen synthetic boards, %", 100 * figures["recall_any_class"], ">=", 95.0),
            ("and called by their class, %", 100 * figures["recall"], ">=", 95.0),
            ("the whole demo, min", seconds / 60, "<=", 6.0),
        ]
    print(json.dumps({**figures, "seconds": round(seconds, 1), "peak_gib": round(peak, 2)}, indent=2))
    met = True
    for name, value, relation, aim in aims:
        good = value >= aim if relation == ">=" else value <= aim
        met &= good
        print(f"{'met   ' if good else 'MISSED'} {name}: {value:.2f} (aim {relation} {aim:g})")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
