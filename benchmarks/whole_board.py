"""A whole board, drawn and scanned, through `copperline inspect`: memory, what is found, doubled, skipped, time saved.

For each number of defects a pair of scans is drawn, of --side px; so many defects lie in random places, and as many
again, at most --on-edges, on the edges and corners of tiles. Each pair is inspected by the command line in a process of
its own, with the gate and without. Peak memory is the process's resident set, as the system counts it (ru_maxrss; the
command starts no other process). Time saved is the ratio of processor time, which other work on the machine hardly
changes: of the whole command, with reading both images and starting Python.

A defect is found where a detection overlaps its label by IoU >= 0.33, and double where two detections do, or where one
of the same class lies half in its box besides the one that found it.

Run: python benchmarks/whole_board.py [--side 16000] [--defects 0 10 100 1000] [--format png] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from copperline.data import write_image
from copperline.data.synthetic import ScanSettings, draw_whole_board
from copperline.detections import Detections, FloatArray, box_iou
from copperline.runtime import Tiling
from copperline.taxonomy import DEEPPCB

SCANNERS = {
    "rough": ScanSettings(blur=(1.0, 1.0), roughness=(30.0, 30.0)),
    "medium": ScanSettings(blur=(1.0, 1.0), roughness=(18.0, 18.0)),
    "smooth": ScanSettings(blur=(1.0, 1.0), roughness=(6.0, 6.0)),
}
SAME_PLACE = 0.33


def places_on_edges(side: int, count: int, seed: int) -> list[tuple[int, int]]:
    """Half of them on corners of tiles, half on edges between."""
    rng = np.random.default_rng(seed)
    tiling = Tiling()
    starts = tiling.starts(side)
    edges = [e for s in starts for e in (s, s + tiling.side) if 100 < e < side - 100]
    corners = [(x, y) for x in edges for y in edges]
    along = [(x, int(rng.integers(100, side - 100))) for x in edges for _ in edges]
    chosen = [*rng.permutation(corners)[: count // 2].tolist(), *rng.permutation(along)[: count - count // 2].tolist()]
    return [(int(x), int(y)) for x, y in chosen]


def peak_and_result(command: list[str], output: Path) -> tuple[float, float, dict[str, Any]]:
    """MiB of resident memory at most, seconds of processor time, and what the command printed."""
    process = os.posix_spawn(
        command[0],
        command,
        {**os.environ, "OMP_NUM_THREADS": "1"},
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)],
    )
    _, status, usage = os.wait4(process, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit("the inspection failed, see above")
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime, json.loads(output.read_text().splitlines()[-1])


def detections_of(result: dict[str, Any]) -> Detections:
    found = result["detections"]
    class_ids = [DEEPPCB.by_name(d["class"]).id for d in found]
    return Detections.of([d["box"] for d in found], class_ids, [d["confidence"] for d in found])


def count_found(labels: Detections, found: Detections) -> dict[str, int]:
    if not len(labels) or not len(found):
        return {"drawn": len(labels), "found": 0, "double": 0, "false": len(found)}
    overlaps = box_iou(labels.boxes, found.boxes)
    same = overlaps >= SAME_PLACE
    inside = (share_inside(found.boxes, labels.boxes) >= 0.5) & (labels.class_ids[:, None] == found.class_ids)
    hits = same.any(axis=1)
    return {
        "drawn": len(labels),
        "found": int(hits.sum()),
        "double": int((hits & ((same | inside).sum(axis=1) > 1)).sum()),
        "false": int((~(same | inside).any(axis=0)).sum()),
    }


def share_inside(found: FloatArray, labels: FloatArray) -> FloatArray:
    """(labels, found): how much of each found box lies in each label's."""
    low = np.maximum(labels[:, None, :2], found[None, :, :2])
    high = np.minimum(labels[:, None, 2:], found[None, :, 2:])
    areas = (found[:, 2:] - found[:, :2]).prod(axis=1)
    return np.asarray((high - low).clip(min=0).prod(axis=2) / areas, np.float32)


def measure(arguments: argparse.Namespace, folder: Path, scanner: str, defects: int) -> dict[str, Any]:
    at = places_on_edges(arguments.side, min(defects, arguments.on_edges), arguments.seed)
    test, reference, labels = draw_whole_board(
        arguments.seed, arguments.side, defects=defects, at=at, scan=SCANNERS[scanner]
    )
    paths = [folder / f"{name}.{arguments.format}" for name in ("test", "reference")]
    for path, image in zip(paths, (test, reference), strict=True):
        write_image(path, image)
    del test, reference
    command = [sys.executable, "-m", "copperline", "inspect", str(paths[0]), "--reference", str(paths[1])]
    command += ["--model", arguments.model, "--json", "--dry-run", "--workspace", str(folder / "workspace")]
    gated = [peak_and_result(command, folder / "out") for _ in range(arguments.rounds)]
    every = [peak_and_result([*command, "--every-tile"], folder / "out") for _ in range(arguments.rounds)]
    result, all_tiles = gated[-1][2], every[-1][2]
    ratios = [with_gate[1] / without[1] for with_gate, without in zip(gated, every, strict=True)]
    return {
        "scanner": scanner,
        "megapixels": arguments.side**2 / 1e6,
        **count_found(labels, detections_of(result)),
        "found_by_every_tile": count_found(labels, detections_of(all_tiles))["found"],
        "call": result["call"],
        "registration_score": result["registration_score"],
        "tiles": result["tiles"]["tiles"],
        "skipped": result["tiles"]["skipped"],
        "peak_mib": max(peak for peak, _, _ in (*gated, *every)),
        "processor_seconds": min(seconds for _, seconds, _ in gated),
        "processor_time_ratio": float(np.median(ratios)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=16_000)
    parser.add_argument("--defects", type=int, nargs="+", default=[0, 10, 100, 1000])
    parser.add_argument("--on-edges", type=int, default=200)
    parser.add_argument("--scanner", choices=SCANNERS, nargs="+", default=list(SCANNERS))
    parser.add_argument("--format", choices=("png", "jpg", "tif"), default="png")
    parser.add_argument("--model", default="builtin:deeppcb")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for scanner in arguments.scanner:
            for defects in arguments.defects:
                rows.append(measure(arguments, Path(folder), scanner, defects))
                print(rows[-1], file=sys.stderr, flush=True)
    if arguments.json:
        print(json.dumps({"side": arguments.side, "format": arguments.format, "model": arguments.model, "rows": rows}))
        return
    print("| scanner | defects | found | every tile | double | false | tiles | skipped | processor time | peak, MiB |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['scanner']} | {row['drawn']} | {row['found']} | {row['found_by_every_tile']} | {row['double']} | "
            f"{row['false']} | {row['tiles']} | {row['skipped'] / row['tiles']:.1%} | "
            f"{row['processor_time_ratio']:.2f} | {row['peak_mib']:,.0f} |"
        )


if __name__ == "__main__":
    main()
