"""Makes a warehouse of a plant's size in SQLite: `python benchmarks/plant_history.py warehouse.db --boards 1000000`.

Rows are made up and every board says `simulated`. They are written in bulk; the derived tables are then counted from
them, as `copperline warehouse rebuild` does.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from copperline.taxonomy import DEEPPCB
from copperline.warehouse import open_warehouse, rebuild_derived, write_transaction
from copperline.warehouse.tables import defect_logs, dispositions, inspections, pcb_metadata

LINES = ("LINE-1", "LINE-2", "LINE-3", "LINE-4")
PRODUCTS = ("Motor controller", "Network switch", "Power supply", "Sensor hub")
VERSIONS = ("1", "2")
FAILING, WITHHELD = 0.4, 0.01
BOARDS_A_STEP = 20_000
OPERATING_POINT = json.dumps({"criterion": "made up", "reached": True, "thresholds": dict.fromkeys(DEEPPCB.names, 0.4)})
HASH = "0" * 64


def make(path: Path, *, boards: int, days: int, detections_per_board: float = 5, seed: int = 0) -> None:
    """Writes `boards` boards over `days` days that end now: 40 % called FAIL, a fifth of these reviewed."""
    engine = open_warehouse(f"sqlite:///{path.absolute()}")
    lot = np.random.default_rng(seed)
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    begin = now - timedelta(days=days)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA synchronous = OFF")
        for start in range(0, boards, BOARDS_A_STEP):
            numbers = range(start, min(start + BOARDS_A_STEP, boards))
            rows = list(_rows(numbers, boards, begin, now, detections_per_board / FAILING, lot))
            for table in (pcb_metadata, inspections, defect_logs, dispositions):
                values = ", ".join("?" * len(table.columns))
                of_table = [row for name, row in rows if name == table.name]
                database.executemany(f"INSERT INTO {table.name} VALUES ({values})", of_table)  # noqa: S608  # our names
            database.commit()
    with write_transaction(engine) as connection:
        rebuild_derived(connection)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()


def _rows(
    numbers: range, boards: int, begin: datetime, end: datetime, mean: float, lot: np.random.Generator
) -> Iterator[tuple[str, tuple[object, ...]]]:
    size = len(numbers)
    draws = lot.random((size, 4))
    counts = lot.poisson(mean, size).clip(min=1)
    lines, products = lot.integers(0, len(LINES), size), lot.integers(0, 2, size)
    step = (end - begin) / boards
    for i, number in enumerate(numbers):
        key, board = str(uuid.UUID(int=int(lot.integers(2**62)) << 64 | number)), f"B{number:08}"
        at = f"{begin + step * number:%Y-%m-%d %H:%M:%S.000000}"
        line = int(lines[i])
        product = PRODUCTS[(line + int(products[i])) % len(PRODUCTS)]
        withheld, fails = draws[i, 0] < WITHHELD, draws[i, 0] > 1 - FAILING
        call = "WITHHELD" if withheld else "FAIL" if fails else "PASS"
        found = int(counts[i]) if fails else 0
        version = VERSIONS[number * len(VERSIONS) // boards]
        path = f"stage/{board}_test.png"
        yield (
            "pcb_metadata",
            (board, at[:10], LINES[line], product, path, at, None, "simulated", 1_200 if products[i] else None),
        )
        yield (
            "inspections",
            (
                *(key, board, at, f"AOI-{line + 1}", "pcb-detector", version, OPERATING_POINT, path, HASH, None, None),
                *(0.9 + 0.1 * draws[i, 1], call, found, 30.0, 90 + 20 * draws[i, 2], 60 + 20 * draws[i, 3]),
            ),
        )
        classes, confidences = lot.integers(0, len(DEEPPCB), found), lot.beta(6, 1, found)
        for position in range(found):
            name = DEEPPCB.names[int(classes[position])]
            box = (0.5, 0.5, 0.05, 0.05)
            inference = f"{key}-{position}"
            confidence = 0.4 + 0.6 * float(confidences[position])
            yield "defect_logs", (inference, board, at, name, confidence, *box, path, version, key)
        if fails and draws[i, 1] < 0.2:
            said = "FALSE_CALL" if draws[i, 2] < 0.1 else "CONFIRMED"
            yield "dispositions", (str(uuid.UUID(int=number)), key, None, said, ("ann", "bo")[number % 2], at, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--boards", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=100)
    arguments = parser.parse_args()
    if arguments.database.exists():
        parser.error(f"{arguments.database} exists")
    began = time.perf_counter()
    make(arguments.database, boards=arguments.boards, days=arguments.days)
    size = arguments.database.stat().st_size / 2**20
    print(f"{arguments.boards:,} boards, {size:,.0f} MiB, {time.perf_counter() - began:.0f} s: {arguments.database}")


if __name__ == "__main__":
    main()
