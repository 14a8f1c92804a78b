"""The operating point of an inspection, as its row keeps it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from copperline.dashboard.traced import NOT_MEASURED


@dataclass(frozen=True, slots=True)
class ShownPoint:
    """What the thresholds were chosen for, and the thresholds: class -> lowest confidence that counts."""

    criterion: str
    thresholds: dict[str, float]


def operating_point(text: str) -> ShownPoint:
    """Reads the column `inspections.operating_point`; of what another program wrote, as much as can be understood.

    >>> operating_point('{"criterion": "recall", "thresholds": {"open": 0.5}}')
    ShownPoint(criterion='recall', thresholds={'open': 0.5})
    >>> operating_point("0.5").thresholds
    {}
    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        return ShownPoint(f"{NOT_MEASURED} ({text})", {})
    thresholds = found.get("thresholds")
    known = thresholds.items() if isinstance(thresholds, dict) else ()
    return ShownPoint(
        str(found.get("criterion") or NOT_MEASURED),
        {str(name): float(value) for name, value in known if isinstance(value, int | float)},
    )
