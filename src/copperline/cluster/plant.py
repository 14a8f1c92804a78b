"""What a plant is to inspect, and what its user pays: what goes into a capacity besides the measured figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

from copperline.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Plant:
    """What is to be inspected, and how well.

    Attributes:
        lines: of each plant.
        plants: of the company; each has its own cores and warehouse.
        takt_s: seconds from one panel to the next on a line, > 0.
        boards_per_panel: boards in each panel.
        images_per_board: image pairs that are inspected of each board, each one an inspection.
        hours_per_day: that lines run.
        days_per_year: that lines run.
        peak: the busiest minutes over the mean; 1: lines are always in step.
        defects_per_image: mean number of detections.
        utilisation: cores are busy for at most so much of the peak.
        longest_mean_wait_s: before an inspection begins, at the peak.
        image_days: working days that images are kept for.
        row_days: working days that rows are kept for.
        database: `sqlite` or `postgresql`.
        cores_per_node: of the machines.
        spare_nodes: of each plant, for one that fails or is taken down.
        training_crops, training_epochs: of one training; crops of an epoch: boards x crops of each.
        training_cores: workers of one core each.
    """

    lines: int = 50
    plants: int = 1
    takt_s: float = 12.0
    boards_per_panel: int = 4
    images_per_board: int = 1
    hours_per_day: float = 24.0
    days_per_year: int = 350
    peak: float = 1.5
    defects_per_image: float = 0.05
    utilisation: float = 0.7
    longest_mean_wait_s: float = 1.0
    image_days: int = 30
    row_days: int = 1750
    database: str = "postgresql"
    cores_per_node: int = 16
    spare_nodes: int = 1
    training_crops: int = 44_000
    training_epochs: int = 12
    training_cores: int = 4

    def __post_init__(self) -> None:
        """Raises SettingsError for a number out of its range."""
        for name in ("lines", "plants", "boards_per_panel", "images_per_board", "cores_per_node", "training_crops"):
            self._require(name, 1, 1e9)
        for name in ("training_epochs", "training_cores"):
            self._require(name, 1, 1e6)
        self._require("takt_s", 1e-3, 1e6)
        self._require("hours_per_day", 1e-3, 24)
        self._require("days_per_year", 1, 366)
        self._require("peak", 1, 100)
        self._require("defects_per_image", 0, 300)
        self._require("utilisation", 0.01, 0.99)
        self._require("longest_mean_wait_s", 1e-3, 3600)
        for name in ("image_days", "row_days", "spare_nodes"):
            self._require(name, 0, 1e5)

    def _require(self, name: str, least: float, most: float) -> None:
        value = getattr(self, name)
        if not least <= value <= most:
            raise SettingsError(f"expected {name} from {least:g} to {most:g}, found {value}", fix="correct it")


@dataclass(frozen=True, slots=True)
class Prices:
    """What the user pays, in any one currency; None: not said, and so not computed."""

    core_hour: float | None = None
    gb_month: float | None = None
    database_month: float | None = None
    currency: str = "EUR"

    def __post_init__(self) -> None:
        """Raises SettingsError for a price below 0."""
        for name in ("core_hour", "gb_month", "database_month"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise SettingsError(f"expected {name} of 0 or more, found {value}", fix="correct it")
