"""How much a plant needs: from measured figures, lines and takt to cores, storage, rows, network and money.

Pure arithmetic, with each step kept in words, so that it can be followed and done again by hand. Units are in the
names: `_s` seconds, `_ms` milliseconds, `_bytes`, `_per_s`. 1 GB is 10^9 bytes, a year has the plant's working days.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from copperline.cluster.measured import Measured, Warehouse
from copperline.cluster.plant import Plant, Prices
from copperline.cluster.queueing import mean_wait_s, servers_needed
from copperline.errors import SettingsError

GB = 1e9
HOURS_PER_MONTH = 730  # a twelfth of 8,760


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the arithmetic.

    Attributes:
        key: for machines, unique.
        what: in words.
        how: the arithmetic, in the numbers that went in.
        value: what it comes to.
        unit: of the value.
    """

    key: str
    what: str
    how: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Need:
    """All steps, in order; each uses only what stands above it."""

    steps: tuple[Step, ...]

    def __getitem__(self, key: str) -> float:
        return next(step.value for step in self.steps if step.key == key)

    def __contains__(self, key: object) -> bool:
        return any(step.key == key for step in self.steps)


class _Sheet:
    """Steps as they are added."""

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}

    def add(self, key: str, what: str, how: str, value: float, unit: str) -> float:
        self.steps[key] = Step(key, what, how, value, unit)
        return value

    def __getitem__(self, key: str) -> float:
        return self.steps[key].value


def capacity(measured: Measured, plant: Plant, prices: Prices | None = None) -> Need:
    """What the plant needs; with more than one plant, what the company needs at the end.

    Raises:
        SettingsError: the figures of the plant's database were not measured.
    """
    database = _database(measured, plant)
    sheet = _Sheet()
    per_s = _rates(sheet, plant)
    _inspection(sheet, measured, plant, per_s)
    _storage(sheet, measured, plant)
    _warehouse(sheet, database, plant)
    _network(sheet, measured)
    _training(sheet, measured, plant)
    if prices is not None:
        _money(sheet, plant, prices)
    if plant.plants > 1:
        _company(sheet, measured, plant)
    return Need(tuple(sheet.steps.values()))


def _database(measured: Measured, plant: Plant) -> Warehouse:
    found = measured.warehouses.get(plant.database)
    if found is None:
        raise SettingsError(
            f"expected the figures of one of {', '.join(sorted(measured.warehouses))}, found {plant.database!r}",
            fix="choose one of them, or measure it with `python benchmarks/capacity.py`",
        )
    return found


def _rates(sheet: _Sheet, plant: Plant) -> float:
    per_image = plant.boards_per_panel * plant.images_per_board
    mean = sheet.add(
        "images_per_s",
        "images a second, mean",
        f"{plant.lines} lines x {plant.boards_per_panel} boards x {plant.images_per_board} images / {plant.takt_s:g} s",
        plant.lines * per_image / plant.takt_s,
        "1/s",
    )
    sheet.add("peak_images_per_s", "images a second, peak", f"{mean:.4g} x {plant.peak:g}", mean * plant.peak, "1/s")
    sheet.add(
        "images_per_day",
        "images a day",
        f"{mean:.4g} /s x {plant.hours_per_day:g} h x 3,600 s",
        mean * plant.hours_per_day * 3600,
        "images",
    )
    return mean * plant.peak


def _inspection(sheet: _Sheet, measured: Measured, plant: Plant, per_s: float) -> None:
    service = measured.inspection.core_ms_per_board
    busy = sheet.add(
        "busy_cores",
        "cores that are busy at the peak",
        f"{per_s:.4g} /s x {service:.4g} ms",
        per_s * service / 1e3,
        "cores",
    )
    cores = servers_needed(per_s, service / 1e3, plant.utilisation, plant.longest_mean_wait_s)
    sheet.add(
        "cores",
        "cores",
        f"the fewest busy at most {100 * plant.utilisation:g} % of the time ({busy:.4g} / {plant.utilisation:g}) with "
        f"a mean wait of at most {plant.longest_mean_wait_s:g} s",
        cores,
        "cores",
    )
    sheet.add(
        "mean_wait_ms",
        "mean wait at the peak",
        f"M/M/c with c = {cores}, a = {busy:.4g}",
        1e3 * mean_wait_s(cores, per_s, service / 1e3),
        "ms",
    )
    sheet.add(
        "nodes",
        "nodes",
        f"{cores} cores / {plant.cores_per_node}, rounded up, + {plant.spare_nodes} spare",
        math.ceil(cores / plant.cores_per_node) + plant.spare_nodes,
        "nodes",
    )
    leading = measured.scaling.driver_ms_per_board
    if leading is not None:
        sheet.add(
            "driver_load",
            "of one core, what leads a batch inspection of this rate by Ray",
            f"{per_s:.4g} /s x {leading:.4g} ms",
            per_s * leading / 1e3,
            "cores",
        )


def _storage(sheet: _Sheet, measured: Measured, plant: Plant) -> None:
    size = measured.boards.image_bytes
    day = sheet["images_per_day"]
    per_day = sheet.add(
        "image_gb_per_day", "images on the stage a day", f"{day:,.0f} x {size / 1e3:.4g} kB", day * size / GB, "GB"
    )
    sheet.add(
        "image_gb_per_year",
        "images a year, if all were kept",
        f"{per_day:.4g} GB x {plant.days_per_year} days",
        per_day * plant.days_per_year,
        "GB",
    )
    sheet.add(
        "image_gb",
        "images that are kept",
        f"{per_day:.4g} GB x {plant.image_days} days",
        per_day * plant.image_days,
        "GB",
    )


def _warehouse(sheet: _Sheet, database: Warehouse, plant: Plant) -> None:
    day, per_s = sheet["images_per_day"], sheet["peak_images_per_s"]
    defects = plant.defects_per_image
    rows = sheet.add(
        "rows_per_day",
        "rows a day: boards, inspections, requests, detections",
        f"{day:,.0f} x ({database.rows_per_board:.4g} + {defects:g})",
        day * (database.rows_per_board + defects),
        "rows",
    )
    per_day = sheet.add(
        "warehouse_gb_per_day",
        f"warehouse on {plant.database} a day, with indexes",
        f"{day:,.0f} x ({database.bytes_per_board:,.0f} + {defects:g} x {database.bytes_per_defect:,.0f}) bytes",
        day * (database.bytes_per_board + defects * database.bytes_per_defect) / GB,
        "GB",
    )
    sheet.add(
        "warehouse_gb_per_year",
        "warehouse a year",
        f"{per_day:.4g} GB x {plant.days_per_year} days",
        per_day * plant.days_per_year,
        "GB",
    )
    sheet.add(
        "warehouse_gb",
        "rows that are kept",
        f"{per_day:.4g} GB x {plant.row_days} days",
        per_day * plant.row_days,
        "GB",
    )
    sheet.add("rows", "number of them", f"{rows:,.0f} x {plant.row_days} days", rows * plant.row_days, "rows")
    sheet.add(
        "writer_load",
        f"of one writer, in transactions of {database.batch}, at the peak",
        f"{per_s:.4g} /s x {database.write_ms_per_board:.4g} ms",
        per_s * database.write_ms_per_board / 1e3,
        "writers",
    )
    sheet.add(
        "transactions_per_s",
        "transactions a second, peak",
        f"{per_s:.4g} / {database.batch}",
        per_s / database.batch,
        "1/s",
    )


def _network(sheet: _Sheet, measured: Measured) -> None:
    per_s, size = sheet["peak_images_per_s"], measured.boards.image_bytes
    sheet.add(
        "network_mbit_per_s",
        "network at the peak: each image once to the stage, once to a core",
        f"{per_s:.4g} /s x 2 x {size / 1e3:.4g} kB x 8",
        per_s * 2 * size * 8 / 1e6,
        "Mbit/s",
    )


def _training(sheet: _Sheet, measured: Measured, plant: Plant) -> None:
    training, cores = measured.training, plant.training_cores
    gain = measured.scaling.training_ray or measured.scaling.training_local
    # What two workers lose against twice one is taken for each doubling.
    efficiency = 1.0 if gain is None else min(1.0, gain.median / 2) ** math.log2(cores)
    sheet.add(
        "training_hours",
        f"a training of {plant.training_crops:,} crops x {plant.training_epochs} epochs",
        f"{plant.training_crops:,} x {plant.training_epochs} / ({training.images_per_core_s:.4g} /s x {cores} cores x "
        f"{efficiency:.3g})",
        plant.training_crops * plant.training_epochs / (training.images_per_core_s * cores * efficiency) / 3600,
        "h",
    )
    sheet.add(
        "step_mb",
        "gradients that each worker sends in a step",
        f"2 x ({cores} - 1) / {cores} x {training.parameters:,} parameters x 4 bytes (ring all-reduce)",
        2 * (cores - 1) / cores * training.parameters * 4 / 1e6,
        "MB",
    )
    sheet.add("checkpoint_mb", "a checkpoint", "measured", training.checkpoint_bytes / 1e6, "MB")


def _money(sheet: _Sheet, plant: Plant, prices: Prices) -> None:
    unit, year = prices.currency, 0.0
    if prices.core_hour is not None:
        cores = sheet["nodes"] * plant.cores_per_node
        year += sheet.add(
            "cores_money_per_year",
            "cores a year, all nodes always on",
            f"{cores:,.0f} cores x 8,760 h x {prices.core_hour:g} {unit}",
            cores * 12 * HOURS_PER_MONTH * prices.core_hour,
            unit,
        )
    if prices.gb_month is not None:
        kept = sheet["image_gb"]
        year += sheet.add(
            "images_money_per_year",
            "images a year",
            f"{kept:,.4g} GB x 12 months x {prices.gb_month:g} {unit}",
            kept * 12 * prices.gb_month,
            unit,
        )
    if prices.database_month is not None:
        year += sheet.add(
            "database_money_per_year",
            "database a year",
            f"12 months x {prices.database_month:g} {unit}",
            12 * prices.database_month,
            unit,
        )
    if year:
        sheet.add("money_per_year", "in all a year, for each plant", "the sum of these", year, unit)


def _company(sheet: _Sheet, measured: Measured, plant: Plant) -> None:
    """Each plant for itself; and, to compare, all of them inspecting in one place."""
    for key, what in (
        ("images_per_day", "images a day"),
        ("cores", "cores"),
        ("nodes", "nodes"),
        ("image_gb", "images that are kept"),
        ("rows", "rows that are kept"),
        ("warehouse_gb", "their size"),
        ("money_per_year", "money a year"),
    ):
        step = sheet.steps.get(key)
        if step is not None:
            sheet.add(
                f"all_{key}",
                f"all plants: {what}",
                f"{plant.plants:,} x {step.value:,.4g}",
                plant.plants * step.value,
                step.unit,
            )
    per_s, service = plant.plants * sheet["peak_images_per_s"], measured.inspection.core_ms_per_board
    sheet.add(
        "pooled_cores",
        "cores, if all plants were inspected in one place",
        f"as above for {per_s:,.4g} /s",
        servers_needed(per_s, service / 1e3, plant.utilisation, plant.longest_mean_wait_s),
        "cores",
    )
