"""How much faster two workers are than one, and whether they come to the same model: `python benchmarks/scaling.py`.

Runs the commands themselves, one after another in alternation, on drawn boards:

    copperline train --engine local|ray --workers 1|2        # crops a second in training steps; the weights in the end
    copperline inspect                                       # the plain loop, one and two threads
    copperline inspect --engine ray --workers 1|2

and two commands of one core at the same time that know nothing of each other, which is what the machine gives at most.
Each worker has one core. A rate of training is that of the epochs after the first, in which each worker reads all
boards; one of inspection is that of the boards by which a long run has more than a short one, so the start of processes
and the loading of the model do not count. Gives each ratio's median with its lowest and highest, and puts them beside
the figures of benchmarks/capacity.py. Some minutes on a quiet machine of two cores; fewer with --rounds 1. Afterwards:
python scripts/scale_doc.py
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from copperline.cluster import read_measured, write_measured
from copperline.cluster.measured import SHIPPED, Ratio, Scaling
from copperline.data import open_dataset
from copperline.data.synthetic import write_synthetic_dataset
from copperline.taxonomy import DEEPPCB
from copperline.training import Checkpoint

Result = TypeVar("Result")

DRAWN = 24
EPOCHS = 3
LIMIT_S = 1800  # of one command
# Runs the command line and tells the processor time of this process alone: with Ray, of what leads the workers.
LED = """
import sys, time
from copperline.cli import main
try:
    main()
finally:
    sys.stderr.write(f"\\nprocessor seconds {time.process_time()}\\n")
"""


@dataclass(frozen=True)
class Ran:
    """`told`: the JSON that the command ended with; `seconds`: by the clock; `processor_s`: of the leading process."""

    told: dict[str, object]
    seconds: float
    processor_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="each of the ways once in each round")
    parser.add_argument("--boards", type=int, default=1200, help="by which the long inspection has more than the short")
    parser.add_argument("--crops-per-pair", type=int, default=132)
    parser.add_argument("--batch-size", type=int, default=44, help="crops in a training step, of all workers together")
    parser.add_argument("--only", choices=("training", "inspection"))
    parser.add_argument("--output", type=Path, default=SHIPPED, help="of benchmarks/capacity.py")
    chosen = parser.parse_args()
    parts: dict[str, Callable[..., dict[str, object]]] = {
        "training": measure_training,
        "inspection": measure_inspection,
    }
    sizes = {"training": (chosen.crops_per_pair, chosen.batch_size), "inspection": (chosen.boards,)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_synthetic_dataset(folder / "drawn", train=DRAWN, test=DRAWN, processes=1)
        for part, measure in parts.items():
            if chosen.only in (None, part):
                keep(measure(folder, chosen.rounds, *sizes[part]), chosen.output)
    print(f"Written to {chosen.output}. Next: python scripts/scale_doc.py")


def keep(found: Mapping[str, object], output: Path) -> None:
    """Beside what is there: of an hour's work nothing is lost when what comes later fails."""
    measured = read_measured(output)
    scaling = Scaling.model_validate({**measured.scaling.model_dump(), **found})
    write_measured(measured.model_copy(update={"scaling": scaling}), output)
    print(scaling.model_dump_json(indent=2), flush=True)


def measure_training(folder: Path, rounds: int, crops_per_pair: int, batch_size: int) -> dict[str, object]:
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    models: list[dict[str, torch.Tensor]] = []
    trained = len(open_dataset(folder / "drawn", splits=("train",), taxonomy=DEEPPCB)[0].split("train"))
    ways = [(engine, workers) for engine in ("local", "ray") for workers in (1, 2)]

    def rate_of(engine: str, workers: int, place: str) -> float:
        space = folder / place
        ran = run(
            f"train --data {folder / 'drawn'} --workspace {space} --engine {engine} --workers {workers} "
            f"--epochs {EPOCHS} --crops-per-pair {crops_per_pair} --batch-size {batch_size}".split(),
            cores=workers,
        )
        checkpoint = Checkpoint.load(Path(str(ran.told["run"])))
        models.append(checkpoint.average)  # what is exported, and inspects
        shutil.rmtree(space)
        later = checkpoint.history[1:]
        return len(later) * trained * crops_per_pair / sum(epoch["seconds"] for epoch in later)

    for number in range(rounds):
        for engine, workers in ways:
            rate = rate_of(engine, workers, "train")
            print(f"round {number + 1}: training, {engine}, {workers} workers: {rate:.1f} crops/s", flush=True)
            rates[engine, workers].append(rate)
        rate = sum(both(lambda place: rate_of("local", 1, f"train-{place}")))
        print(f"round {number + 1}: training, two runs apart: {rate:.1f} crops/s", flush=True)
        rates["apart", 2].append(rate)
    return {
        "training_apart": ratio_of(rates["apart", 2], rates["local", 1]),
        "training_local": ratio_of(rates["local", 2], rates["local", 1]),
        "training_ray": ratio_of(rates["ray", 2], rates["ray", 1]),
        "largest_weight_difference": max(largest_difference(models[0], model) for model in models[1:]),
    }


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    if one.keys() != other.keys():
        raise SystemExit("the models have different weights by name")
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def measure_inspection(folder: Path, rounds: int, boards: int) -> dict[str, object]:
    short, long = folder / "short", folder / "long"
    copies(folder / "drawn", short, DRAWN)
    copies(folder / "drawn", long, DRAWN + boards)
    ways = [(engine, cores) for cores in (1, 2) for engine in ("local", "ray")]
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    leading: list[float] = []
    for number in range(rounds):
        for engine, cores in ways:
            few, many = (inspected(folder, source, engine, cores) for source in (short, long))
            if many.seconds <= few.seconds:
                raise SystemExit(
                    f"{boards} more boards took no more time: the machine is too busy, or give more --boards"
                )
            rate = boards / (many.seconds - few.seconds)
            print(f"round {number + 1}: inspection, {engine}, {cores} cores: {rate:.1f} boards/s", flush=True)
            rates[engine, cores].append(rate)
            if engine == "ray":
                leading.append(1e3 * (many.processor_s - few.processor_s) / boards)
        short_s, long_s = (
            max(ran.seconds for ran in both(lambda _, source=source: inspected(folder, source, "local", 1)))
            for source in (short, long)
        )
        rates["apart", 2].append(2 * boards / (long_s - short_s))
        print(f"round {number + 1}: inspection, two runs apart: {rates['apart', 2][-1]:.1f} boards/s", flush=True)
    return {
        "inspection_apart": ratio_of(rates["apart", 2], rates["local", 1]),
        "inspection_local": ratio_of(rates["local", 2], rates["local", 1]),
        "inspection_ray": ratio_of(rates["ray", 2], rates["ray", 1]),
        "ray_to_local_one_core": ratio_of(rates["ray", 1], rates["local", 1]),
        "ray_to_local_two_cores": ratio_of(rates["ray", 2], rates["local", 2]),
        "driver_ms_per_board": round(statistics.median(leading), 3),
    }


def copies(drawn: Path, target: Path, count: int) -> None:
    """So many boards, each with its golden image; the drawn ones again and again under other names."""
    tests = sorted(drawn.rglob("*_test.jpg"))
    (target / "boards").mkdir(parents=True)
    (target / "golden").mkdir()
    for number in range(count):
        test = tests[number % len(tests)]
        shutil.copyfile(test, target / "boards" / f"B{number:06d}_test.jpg")
        golden = test.with_name(test.name.replace("_test", "_temp"))
        shutil.copyfile(golden, target / "golden" / f"B{number:06d}.jpg")


def inspected(folder: Path, source: Path, engine: str, cores: int) -> Ran:
    space = Path(tempfile.mkdtemp(dir=folder))
    command = ["inspect", str(source / "boards"), "--reference", str(source / "golden"), "--workspace", str(space)]
    command += ["--model", "builtin:deeppcb"]
    ran = run(command + (["--engine", "ray", "--workers", str(cores)] if engine == "ray" else []), cores=cores)
    wanted = len(list((source / "boards").iterdir()))
    if ran.told["inspected"] != wanted or ran.told["new"] != wanted:
        raise SystemExit(f"expected {wanted} boards to be inspected and written, found {ran.told}")
    shutil.rmtree(space)
    return ran


def run(command: Sequence[str], *, cores: int) -> Ran:
    environment = {**os.environ, "COPPERLINE_THREADS": str(cores)}
    for name in ("COPPERLINE_WORKSPACE", "RAY_ADDRESS", "OMP_NUM_THREADS"):
        environment.pop(name, None)
    begun = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-c", LED, *command, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    seconds = time.perf_counter() - begun
    if ran.returncode != 0:
        raise SystemExit(f"copperline {' '.join(command)}: {ran.stderr}")
    processor = float(ran.stderr.rpartition("processor seconds")[2])
    return Ran(json.loads(ran.stdout.splitlines()[-1]), seconds, processor)


def both(measure: Callable[[int], Result]) -> list[Result]:
    """The same twice, at the same time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(measure, (0, 1)))


def ratio_of(those: Sequence[float], these: Sequence[float]) -> Ratio:
    """Of runs of the same round."""
    found = [round(one / other, 3) for one, other in zip(those, these, strict=True)]
    return Ratio(median=statistics.median(found), lowest=min(found), highest=max(found), runs=len(found))


if __name__ == "__main__":
    main()
