"""Writes docs/scale.md from the measured figures: `python scripts/scale_doc.py`. A test fails when it is stale.

The text is here, the figures are those of src/copperline/cluster/measured.json, and the arithmetic is
`copperline.cluster.capacity`, which `copperline cluster capacity` prints for any plant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from copperline.cli.capacity import figure
from copperline.cluster import Measured, Need, Plant, capacity, read_measured
from copperline.cluster.measured import Ratio

TARGET = Path(__file__).parents[1] / "docs" / "scale.md"
AIMS = {
    "training_apart": ("training, two runs that know nothing of each other against one: the machine's limit", None),
    "training_local": ("training, two processes of one core against one", 1.8),
    "training_ray": ("training by Ray, two workers of one core against one", 1.8),
    "inspection_apart": ("batch inspection, two runs that know nothing of each other against one: the limit", None),
    "inspection_local": ("batch inspection, one process with two threads against one", None),
    "inspection_ray": ("batch inspection by Ray, two workers of one core against one", 1.9),
    "ray_to_local_one_core": ("batch inspection, Ray against the plain loop, one core", 0.9),
    "ray_to_local_two_cores": ("batch inspection, Ray against the plain loop, two cores", 0.9),
}
INTRODUCTION = """# How much is needed

Written by `python scripts/scale_doc.py` from measured figures; `copperline cluster capacity` does the same arithmetic
for your lines, takt and prices. How a cluster is run is in [cluster.md](cluster.md).
"""
MODEL = """## The model

A line hands in the boards of a panel once in a takt, each board one image pair or several; each pair is one inspection.
What is needed follows in this order, and `--json` gives every step:

- **Images a second** = lines x boards x images / takt. Machines pause and catch up: the busiest minutes are taken as
  1.5 times the mean unless you say otherwise (`--peak`).
- **Cores**: the fewest that are busy for at most 70 % of the peak (`--utilisation`) while the mean wait before an
  inspection begins stays within its limit (`--longest-wait-seconds`). The wait is that of the queue M/M/c:
  W = C(c, a) s / (c - a), with s the seconds of one inspection, a = arrivals a second x s, and Erlang's C
  (L. Kleinrock, *Queueing Systems*, vol. 1, 1975, sections 3.5 and 3.7). Lines hand in more evenly than M/M/c assumes,
  and inspections take nearly the same time, so the real wait is shorter.
- **Nodes** = cores / cores of a node, rounded up, and a spare one.
- **Storage**: images a day x bytes of an image x days that they are kept. A golden image is kept once, so it does not
  count. `GB` is 10^9 bytes.
- **Warehouse**: images a day x (bytes of a board + defects x bytes of a defect), indexes and the counts by hour and by
  day included, as they were found by writing to an empty database.
- **Writer**: one process writes what a plant inspects, in transactions; its load is the share of its time. Above one
  half, spread the lines over several services on PostgreSQL; SQLite takes one writer at a time.
- **Network**: each image goes once to the stage and once to a core.
- **Training**: crops x epochs / (crops a second of a core x cores x efficiency), where each doubling of the cores keeps
  what two workers were measured to keep. Gradients are shared by a ring: each worker sends 2 (N - 1) / N times them.

What it does not know: the time of cameras and registration of boards larger than those measured (measure your own with
`python benchmarks/capacity.py --data`), failures of whole plants, copies and backups, and what people need.
"""


def main() -> None:
    TARGET.write_text(render(), encoding="utf-8")


def render() -> str:
    measured, plant = read_measured(), Plant()
    company = capacity(measured, replace(plant, plants=1000))
    parts = [
        INTRODUCTION,
        *_measured(measured),
        *_scaling(measured),
        MODEL,
        *_plant(capacity(measured, plant), plant),
        *_company(company),
        *_again(),
    ]
    return "\n".join(parts)


def _measured(measured: Measured) -> Iterator[str]:
    machine, boards = measured.machine, measured.boards
    yield "## Measured\n"
    yield (
        f"On {measured.measured_at} with Copperline {measured.copperline}, on {machine.processor} with {machine.cores} "
        f"cores and\n{machine.memory_gib:g} GiB ({machine.system}, Python {machine.python}). Other machines differ.\n"
    )
    rows = [
        ("images", f"{boards.count} {boards.source} of {boards.width} x {boards.height} px"),
        ("bytes of an image's file, mean", f"{boards.image_bytes:,.0f}"),
        (
            f"one core for a board with `{measured.inspection.model}`, from file to call",
            f"{measured.inspection.core_ms_per_board:.1f} ms",
        ),
    ]
    for name, database in sorted(measured.warehouses.items(), reverse=True):
        rows += [
            (f"{name}: rows of a board without defects", f"{database.rows_per_board:.2f}"),
            (f"{name}: bytes of a board without defects", f"{database.bytes_per_board:,.0f}"),
            (f"{name}: bytes of each defect", f"{database.bytes_per_defect:,.0f}"),
            (
                f"{name}: one writer for a board, {database.batch} in a transaction",
                f"{database.write_ms_per_board:.2f} ms",
            ),
        ]
    training = measured.training
    rows += [
        (
            f"training `{training.network}`, crops of {training.image_size} px, one core",
            f"{training.images_per_core_s:.0f} /s",
        ),
        ("parameters, each 4 bytes of gradient in a step", f"{training.parameters:,}"),
        ("a checkpoint", f"{training.checkpoint_bytes / 1e6:.1f} MB"),
    ]
    yield _table(("what", "measured"), rows)


def _scaling(measured: Measured) -> Iterator[str]:
    yield "## Two cores against one\n"
    yield "Alternating runs of the commands themselves; medians, with the lowest and highest run.\n"
    rows = []
    for name, (what, aim) in AIMS.items():
        found: Ratio | None = getattr(measured.scaling, name)
        value = "not measured"
        if found is not None:
            value = f"{found.median:.2f} ({found.lowest:.2f} - {found.highest:.2f}, {found.runs} runs)"
        rows.append((what, value, "" if aim is None else f">= {aim}"))
    yield _table(("what", "ratio of images a second", "aim"), rows)
    difference, leading = measured.scaling.largest_weight_difference, measured.scaling.driver_ms_per_board
    if difference is not None:
        yield (
            "The models of one and of two workers, by both engines, after the same steps on the same crops: no weight "
            f"differs by\nmore than {difference:.2g}.\n"
        )
    if leading:
        yield (
            f"What leads a batch inspection by Ray takes {leading:.2f} ms of a core for each board, so it keeps up\n"
            f"with {1e3 / leading:,.0f} boards a second at most.\n"
        )


def _plant(need: Need, plant: Plant) -> Iterator[str]:
    yield f"## A plant of {plant.lines} lines\n"
    yield "`copperline cluster capacity`, with its default values, which are an example and no measurement:\n"
    yield _steps(need, "")


def _company(need: Need) -> Iterator[str]:
    yield "## 1,000 such plants\n"
    yield "`copperline cluster capacity --plants 1000`: each plant has its own cores and warehouse.\n"
    yield _steps(need, "all_", "pooled_")


def _steps(need: Need, *prefixes: str) -> str:
    rows = [(step.what, step.how, figure(step)) for step in need.steps if step.key.startswith(prefixes)]
    return _table(("what", "how", "comes to"), rows)


def _again() -> Iterator[str]:
    yield """## Measured again

On a machine that does nothing else, some minutes each; the second needs two cores:

```sh
python benchmarks/capacity.py     # bytes, rows, milliseconds; --data for boards of your own
python benchmarks/scaling.py      # two workers against one
python scripts/scale_doc.py       # this page
```
"""


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


if __name__ == "__main__":
    main()
