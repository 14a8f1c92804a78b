"""Measuring a model's baseline: its inspections of boards that it was checked on, counted for drift."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from copperline.data import BoardPair
from copperline.inspection import Detector, inspect_pairs
from copperline.monitoring import BRIGHTNESS, CONFIDENCE, CONTRAST, REGISTRATION
from copperline.progress import progress
from copperline.registry import Baseline
from copperline.taxonomy import Call, Taxonomy
from copperline.warehouse import InspectionRecord

_log = logging.getLogger(__name__)

NOT_SEEN = "which the model had not seen"
SEEN = "which the model was trained on too: on other boards its confidences may be lower"
# More groups than these are counted, not named: a folder of golden images has one for each.
_GROUPS_NAMED = 4


def measure_baseline(
    detector: Detector, pairs: Sequence[BoardPair], remark: str, *, kind: str = "boards of validation"
) -> Baseline | None:
    """Inspects the boards' test images as the line does, at the operating point, and counts what came of it.

    Nothing is written to a warehouse.

    Args:
        pairs: the boards, with their defects.
        remark: in words, on what the model had seen of them: `NOT_SEEN`, `SEEN` or another.
        kind: in words, what they are.

    Returns:
        The baseline, whose `measured_on` is made of number, kind, groups and remark; None, with a warning, if none of
        the boards could be inspected.
    """
    records: list[InspectionRecord] = []

    def keep(record: InspectionRecord) -> bool:
        records.append(record)
        return True

    with progress("Measuring the baseline for drift") as report_progress:
        batch = inspect_pairs(detector, pairs, keep, station_id="baseline", progress=report_progress)
    if not records:
        why = f" (first: {batch.skipped[0].reason})" if batch.skipped else ""
        _log.warning("note: no baseline for drift: none of %d %s could be inspected%s", len(pairs), kind, why)
        return None
    counted = kind if len(records) > 1 else kind.replace("boards", "board", 1)
    words = f"{len(records)} {counted}, {_groups(pairs)}, {remark}"
    if batch.skipped:
        words += f"; {len(batch.skipped)} more could not be inspected"
    return baseline_of(records, detector.taxonomy, words)


def baseline_of(records: Sequence[InspectionRecord], taxonomy: Taxonomy, measured_on: str) -> Baseline:
    """Counts inspections.

    Args:
        records: at least one, all of one model at one operating point.
        taxonomy: of the detections' class ids.
        measured_on: in words.
    """
    class_ids = np.concatenate([record.detections.class_ids for record in records])
    confidences = np.concatenate([record.detections.confidences for record in records])
    calls = Counter(record.call for record in records)
    return Baseline(
        boards=len(records),
        measured_on=measured_on,
        histograms={
            CONFIDENCE.name: {
                name: CONFIDENCE.counts(confidences[class_ids == class_id])
                for class_id, name in enumerate(taxonomy.names)
            },
            REGISTRATION.name: REGISTRATION.counts(_measured([record.registration_score for record in records])),
            BRIGHTNESS.name: BRIGHTNESS.counts(_measured([record.brightness for record in records])),
            CONTRAST.name: CONTRAST.counts(_measured([record.contrast for record in records])),
        },
        detections_per_board=len(class_ids) / len(records),
        calls={call: calls[call] for call in Call},
    )


def _measured(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _groups(pairs: Sequence[BoardPair]) -> str:
    names = sorted({pair.board_group.removeprefix("group") or pair.board_group for pair in pairs})
    if len(names) > _GROUPS_NAMED:
        return f"{len(names)} groups"
    return f"group {names[0]}" if len(names) == 1 else f"groups {', '.join(names[:-1])} and {names[-1]}"
