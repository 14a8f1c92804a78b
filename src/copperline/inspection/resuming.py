"""What a batch that is started again has still to do: known from rows and from times of change, without reading images.

A board is done if the warehouse has a row of just these two files, this model and this operating point that began after
both files last changed. The times come from two clocks, that of the stage and that of the machine that inspected: a
file that changed less than the tolerance before its row is taken for changed after it, and inspected again. That costs
time and nothing else, as an inspection's id follows from the images: no row is ever doubled.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Engine

from copperline.inspection.detector import Detector
from copperline.inspection.pairs import ImagePair
from copperline.warehouse import InspectedFiles, inspected_files


def still_to_do(
    engine: Engine, detector: Detector, pairs: Sequence[ImagePair], *, tolerance_s: float
) -> tuple[ImagePair, ...]:
    """Those of `pairs` that the warehouse has no row of, or that changed since.

    Args:
        tolerance_s: how far the clocks of the stage and of the machines that inspect may differ, seconds.
    """
    rows = inspected_files(
        engine,
        (pair.board_id for pair in pairs),
        model_name=detector.name,
        model_version=detector.version,
        operating_point=detector.operating_point_json,
    )
    tolerance = timedelta(seconds=tolerance_s)
    return tuple(pair for pair in pairs if not _is_done(pair, rows, tolerance))


def _is_done(pair: ImagePair, rows: InspectedFiles, tolerance: timedelta) -> bool:
    reference = None if pair.reference_path is None else str(pair.reference_path)
    inspected_at = rows.get((str(pair.test_path), reference))
    return inspected_at is not None and pair.changed_at is not None and pair.changed_at + tolerance < inspected_at
