"""Measures what a capacity is computed from: `python benchmarks/capacity.py`, some minutes on a quiet machine.

Writes the figures that `copperline cluster capacity` and docs/scale.md use, and keeps those of benchmarks/scaling.py:

- bytes of an image: of drawn boards (or of your own, with --data);
- milliseconds of one core for a board, from the image's file to the call: processor time of one thread;
- rows, bytes and milliseconds of a board in the warehouse: by really writing inspections as the HTTP service does,
  into a fresh SQLite, and a fresh PostgreSQL where its server is installed;
- training crops a second of one core, parameters, bytes of a checkpoint: by really training for two epochs.

Afterwards: python scripts/scale_doc.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import NullPool, create_engine, inspect, text

from copperline.cluster import Measured, read_measured, write_measured
from copperline.cluster.measured import SHIPPED, Boards, Inspection, Machine, Scaling, Training, Warehouse
from copperline.data import BoardPair, open_dataset
from copperline.data.synthetic import write_synthetic_dataset
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.inspection import Detector, inspect_image
from copperline.settings import available_cores
from copperline.taxonomy import DEEPPCB
from copperline.warehouse import (
    BoardTold,
    InspectionRecord,
    LineResult,
    RequestKey,
    open_warehouse,
    write_line_results,
)
from temporary_postgresql import programs, temporary_postgresql

BATCH = 8  # boards in a transaction, as the service's default
LINES = 10
DEFECTS = 5  # of each board, where bytes of a defect are measured
EPOCHS, CROPS_PER_PAIR = 2, 22


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="boards in DeepPCB's layout; default: drawn ones")
    parser.add_argument("--boards", type=int, default=40, help="that are inspected")
    parser.add_argument("--writes", type=int, default=3000, help="inspections that are written to each database")
    parser.add_argument("--model", default="builtin:deeppcb")
    parser.add_argument("--output", type=Path, default=SHIPPED)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, source = chosen.data, f"boards of {chosen.data}"
        if data is None:
            data, source = folder / "boards", "drawn boards"
            write_synthetic_dataset(data, train=12, test=chosen.boards, processes=1)
        dataset, _ = open_dataset(data, splits=("train", "test"), taxonomy=DEEPPCB)
        tests = dataset.split("test")[: chosen.boards]
        boards, inspection, record = measure_inspection(tests, source, chosen.model)
        databases = measure_warehouses(record, chosen.writes, folder)
        training = measure_training(data, folder / "workspace", len(dataset.split("train")))
    measured = Measured(
        measured_at=f"{datetime.now(UTC):%Y-%m-%d}",
        copperline=version("copperline"),
        machine=machine(),
        boards=boards,
        inspection=inspection,
        warehouses=databases,
        training=training,
        scaling=scaling_before(chosen.output),
    )
    write_measured(measured, chosen.output)
    print(measured.model_dump_json(indent=2))
    print(f"Written to {chosen.output}. Next: python benchmarks/scaling.py, then python scripts/scale_doc.py")


def machine() -> Machine:
    """This one; the processor's name from /proc where there is one."""
    processor, memory = platform.processor() or platform.machine(), 0.0
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Machine(
        processor=processor,
        cores=available_cores(),
        memory_gib=round(memory, 1) or 1.0,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def scaling_before(path: Path) -> Scaling:
    """What benchmarks/scaling.py has written there."""
    try:
        return read_measured(path).scaling
    except DataError:
        return Scaling()


def measure_inspection(
    tests: Sequence[BoardPair], source: str, model: str
) -> tuple[Boards, Inspection, InspectionRecord]:
    """Processor time of this one thread: what else runs on the machine changes it little."""
    detector = Detector.load(model, threads=1)
    seconds: list[float] = []
    for pair in [*tests[:3], *tests]:  # the first three warm up
        begun = time.process_time()
        found = inspect_image(detector, pair.test_path, pair.reference_path)
        seconds.append(time.process_time() - begun)
    record = found.to_record("AOI-1")
    boards = Boards(
        source=source,
        count=len(tests),
        width=record.width,
        height=record.height,
        image_bytes=round(statistics.mean(pair.test_path.stat().st_size for pair in tests)),
    )
    return boards, Inspection(model=model, core_ms_per_board=round(1e3 * statistics.mean(seconds[3:]), 2)), record


def measure_warehouses(record: InspectionRecord, writes: int, folder: Path) -> dict[str, Warehouse]:
    found = {"sqlite": measure_warehouse([f"sqlite:///{folder / name}.db" for name in ("good", "bad")], record, writes)}
    if (binaries := programs()) is None:
        print("PostgreSQL is not installed: not measured")
        return found
    with temporary_postgresql(binaries) as url, two_databases(url) as urls:
        found["postgresql"] = measure_warehouse(urls, record, writes)
    return found


@contextmanager
def two_databases(url: str) -> Iterator[list[str]]:
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for name in ("good", "bad"):
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    admin.dispose()
    yield [url.replace("/postgres?", f"/{name}?") for name in ("good", "bad")]


def measure_warehouse(urls: Sequence[str], record: InspectionRecord, writes: int) -> Warehouse:
    """Boards without defects into the first database, boards with five into the second."""
    good, seconds = written(urls[0], record, writes, Detections.empty())
    boxes = [[10 * n, 10, 10 * n + 8, 20] for n in range(DEFECTS)]
    bad, _ = written(urls[1], record, writes, Detections.of(boxes, list(range(DEFECTS)), [0.9] * DEFECTS))
    return Warehouse(
        boards=writes,
        rows_per_board=round(good[0] / writes, 2),
        bytes_per_board=round(good[1] / writes, 1),
        bytes_per_defect=round((bad[1] - good[1]) / (writes * DEFECTS), 1),
        write_ms_per_board=round(1e3 * seconds / writes, 3),
        batch=BATCH,
    )


def written(url: str, record: InspectionRecord, writes: int, detections: Detections) -> tuple[tuple[int, int], float]:
    """Rows and bytes that were added, and the seconds that it took."""
    engine = open_warehouse(url)
    before = extent(url)
    results = [result(record, number, detections) for number in range(writes)]
    begun = time.perf_counter()
    for first in range(0, writes, BATCH):
        write_line_results(engine, results[first : first + BATCH], DEEPPCB)
    seconds = time.perf_counter() - begun
    engine.dispose()
    after = extent(url)
    return (after[0] - before[0], after[1] - before[1]), seconds


def result(record: InspectionRecord, number: int, detections: Detections) -> LineResult:
    """A board of one of ten lines, one a second; ids as long as real ones."""
    digest = f"{number:064x}"
    changed = replace(
        record,
        inspection_id=f"{number:08x}-0000-4000-8000-{number:012x}",
        board_id=f"AX7-2026-{number:010d}",
        inspected_at=datetime(2026, 3, 2, 6, tzinfo=UTC) + timedelta(seconds=number),
        station_id=f"AOI-{number % LINES}",
        image_path=f"/var/lib/copperline/stage/{digest[:2]}/{digest}.png",
        image_sha256=digest,
        detections=detections,
    )
    told = BoardTold(
        line_id=f"L{number % LINES}", product_type="AX7", panel_id=f"P{number // 4:010d}", opportunities=200
    )
    return LineResult(changed, told, RequestKey(digest, digest))


def extent(url: str) -> tuple[int, int]:
    """Rows of all tables, and bytes of the database with its indexes."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            free = connection.execute(text("PRAGMA freelist_count")).scalar_one()
            size = (pages - free) * connection.execute(text("PRAGMA page_size")).scalar_one()
        else:
            connection.execute(text("VACUUM"))
            size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        quote = engine.dialect.identifier_preparer.quote
        tables = inspect(connection).get_table_names()
        rows = sum(connection.execute(text(f"SELECT COUNT(*) FROM {quote(name)}")).scalar_one() for name in tables)  # noqa: S608
    return rows, size


def measure_training(data: Path, workspace: Path, pairs: int) -> Training:
    """By the command itself, on one core."""
    from copperline.training import Checkpoint
    from copperline.yolo.network import build_network, count_parameters

    command = [
        sys.executable,
        "-m",
        "copperline",
        "train",
        "--data",
        str(data),
        "--workspace",
        str(workspace),
        "--json",
    ]
    command += ["--epochs", str(EPOCHS), "--crops-per-pair", str(CROPS_PER_PAIR)]
    one = {**os.environ, "COPPERLINE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, env=one, stdout=subprocess.PIPE, text=True, check=True, timeout=1800)
    told = json.loads(ran.stdout.splitlines()[-1])
    run = Path(told["run"])
    config = Checkpoint.load(run).config
    return Training(
        network=config.network,
        image_size=config.crop_size,
        images_per_core_s=round(EPOCHS * CROPS_PER_PAIR * pairs / told["train_seconds"], 2),
        parameters=count_parameters(build_network(config.network, len(DEEPPCB))),
        checkpoint_bytes=(run / "checkpoint.pt").stat().st_size,
    )


if __name__ == "__main__":
    main()
