"""`copperline inspect` of many boards: a folder or a URL, in this process or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from copperline.cli.options import print_json, say
from copperline.errors import SettingsError

if TYPE_CHECKING:
    import sqlalchemy

    from copperline.inspection import BatchSummary, Detector, ImagePair
    from copperline.settings import Settings
    from copperline.stage import Location


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be inspected: see the command's options."""

    source: Location
    references: Location | None
    model: str
    station: str
    again: bool
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where: None workers: one for each core; None address: a Ray of this machine."""

    workers: int | None
    address: str | None


def inspect_many(order: Order, settings: Settings, cluster: Cluster | None, json_: bool) -> None:
    from copperline.inspection import Detector, pairs_in, still_to_do
    from copperline.warehouse import open_warehouse

    pairs = pairs_in(order.source, order.references)
    detector = Detector.load(order.model, settings=settings)
    engine = None if order.dry_run else open_warehouse(settings.warehouse)
    try:
        missing = pairs
        if engine is not None and not order.again:
            missing = still_to_do(engine, detector, pairs, tolerance_s=settings.stage_clock_tolerance_s)
        if cluster is None or not missing:
            batch = _inspect_here(order, detector, missing, engine)
        else:
            batch = _inspect_on_cluster(order, detector, missing, engine, cluster, settings)
    finally:
        if engine is not None:
            engine.dispose()
    _report(order, settings, batch, already=len(pairs) - len(missing), json_=json_)


def _inspect_here(
    order: Order, detector: Detector, pairs: Sequence[ImagePair], engine: sqlalchemy.Engine | None
) -> BatchSummary:
    from copperline.inspection import inspect_pairs
    from copperline.progress import progress
    from copperline.warehouse import write_inspection

    write = (lambda _: True) if engine is None else partial(write_inspection, engine, taxonomy=detector.taxonomy)
    with progress("Inspecting") as report_progress:
        return inspect_pairs(detector, pairs, write, station_id=order.station, progress=report_progress)


def _inspect_on_cluster(
    order: Order,
    detector: Detector,
    pairs: Sequence[ImagePair],
    engine: sqlalchemy.Engine | None,
    cluster: Cluster,
    settings: Settings,
) -> BatchSummary:
    from copperline.cluster import last_words, ray_errors, ray_session
    from copperline.inspection.ray_batch import inspect_on_ray
    from copperline.progress import progress
    from copperline.warehouse import InspectionRecord, write_inspections

    def write(records: Sequence[InspectionRecord]) -> int:
        if engine is None:
            return len(records)
        return write_inspections(engine, records, detector.taxonomy, boards_per_transaction=max(1, len(records)))

    local_workers = settings.cores if cluster.address in (None, "local") else None
    workers = cluster.workers or local_workers
    with (
        last_words(_LOST),
        ray_session(cluster.address, cpus=workers or 1) as found,
        progress("Inspecting") as report_progress,
    ):
        report_progress(0, len(pairs))
        with ray_errors():
            return inspect_on_ray(
                detector,
                pairs,
                write,
                workers=workers or int(found.cpus),
                station_id=order.station,
                progress=report_progress,
            )


_LOST = (
    "error: the process was ended, as Ray does when it loses the cluster's head or its own node; what is written stays "
    "written: see whether the cluster is up, and start the command again, which goes on where it was"
)


def _report(order: Order, settings: Settings, batch: BatchSummary, *, already: int, json_: bool) -> None:
    from copperline.cli.inspect import why_withheld
    from copperline.taxonomy import Call
    from copperline.warehouse import place

    skipped = [{"path": str(skip.path), "reason": skip.reason} for skip in batch.skipped]
    if json_:
        print_json(
            {
                "inspected": batch.inspected,
                "already_inspected": already,
                "new": batch.new,
                "calls": batch.calls,
                "defects": batch.defects,
                "skipped": skipped,
            }
        )
    else:
        for skip in batch.skipped:
            say(f"skipped: {skip.reason}")
        calls = ", ".join(f"{count} {call.value}" for call, count in batch.calls.items())
        where = place(settings.warehouse)
        say(
            *([f"{already} boards were inspected already; --again inspects them too."] if already else []),
            f"Inspected {batch.inspected} boards: {calls}; {batch.defects} defects; {len(skipped)} boards skipped.",
            *([why_withheld()] if batch.calls[Call.WITHHELD] else []),
            "Nothing was written." if order.dry_run else f"Written to {where} ({batch.new} were new).",
        )
    if batch.inspected + already == 0:
        raise SettingsError(
            "expected boards to inspect, none could be", where=order.source, fix="see the reasons above"
        )
