"""Made-up board metadata for the demonstration. Every row says `simulated`, and every screen must say it too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from copperline.warehouse.records import BoardRecord

LINES = ("LINE-1", "LINE-2", "LINE-3", "LINE-4")

# Two products for each line, as a plant would schedule them.
PRODUCTS = {
    "LINE-1": ("Motor controller", "Power supply"),
    "LINE-2": ("Motor controller", "Sensor hub"),
    "LINE-3": ("Network switch", "Sensor hub"),
    "LINE-4": ("Network switch", "Power supply"),
}

# Of a board, for DPMO.
OPPORTUNITIES = {"Motor controller": 1_450, "Network switch": 2_100, "Power supply": 820, "Sensor hub": 610}

PANELS_PER_DAY = 24


def simulate_metadata(board_ids: Iterable[str], seed: int, *, before: date, days: int = 14) -> list[BoardRecord]:
    """One record for each board, in the given order, each depending on its id, `seed`, `before` and `days` alone.

    Args:
        board_ids: of the boards to describe.
        seed: another seed gives another plant.
        before: boards were made in the `days` days before this one.

    Returns:
        Records with `source` simulated, no image path and unknown opportunities (so DPMO stays not measured).

    >>> board = simulate_metadata(["20085000"], seed=0, before=date(2026, 3, 15))[0]
    >>> board.source, board.opportunities, board.manufacturing_date < date(2026, 3, 15)
    ('simulated', None, True)
    """
    if days < 1:
        raise ValueError(f"expected at least 1 day, found {days}")
    return [_simulate(board_id, seed, before, days) for board_id in board_ids]


def simulated_time(board: BoardRecord) -> datetime:
    """When a board of `simulate_metadata` was inspected: on the day that it was made, at any second, UTC.

    >>> board = simulate_metadata(["20085000"], seed=0, before=date(2026, 3, 15))[0]
    >>> simulated_time(board).date() == board.manufacturing_date
    True
    """
    if board.manufacturing_date is None:
        raise ValueError(f"expected a board with a day of manufacture, found {board.board_id} without")
    digest = hashlib.sha256(f"time:{board.board_id}".encode()).digest()
    seconds = int.from_bytes(digest[:8], "big") % (24 * 60 * 60)
    return datetime.combine(board.manufacturing_date, time(), UTC) + timedelta(seconds=seconds)


def _simulate(board_id: str, seed: int, before: date, days: int) -> BoardRecord:
    # SHA-256, because the built-in hash() of text changes from process to process.
    digest = hashlib.sha256(f"{seed}:{board_id}".encode()).digest()
    line = LINES[digest[0] % len(LINES)]
    made_on = before - timedelta(days=1 + int.from_bytes(digest[1:3], "big") % days)
    panel = digest[3] % PANELS_PER_DAY
    # A panel is of one product, so the product follows from the panel.
    product = PRODUCTS[line][panel % 2]
    return BoardRecord(
        board_id=board_id,
        manufacturing_date=made_on,
        factory_line_id=line,
        product_type=product,
        image_path=None,
        created_at=datetime.combine(before, time(), UTC),
        panel_id=f"{line}-{made_on:%Y%m%d}-{panel:02d}",
        source="simulated",
        opportunities=None,
    )
