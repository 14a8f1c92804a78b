"""How large drawn defects are and how loosely their boxes fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from copperline.errors import SettingsError


@dataclass(frozen=True, slots=True)
class DefectSize:
    """Size and box margin of one class of defect.

    Attributes:
        median_area: of the changed pixels, square pixels.
        small_area: 5 % of the defects are smaller.
        margins: of the box around the changed pixels: left, top, right, bottom, pixels.
    """

    median_area: float
    small_area: float
    margins: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        if not 0 < self.small_area <= self.median_area:
            raise SettingsError(
                f"expected 0 < small_area <= median_area, found {self.small_area} and {self.median_area}",
                fix="correct the defect size",
            )
        if min(self.margins) < 0:
            raise SettingsError(
                f"expected margins of 0 px or more, found {self.margins}", fix="correct the defect size"
            )

    def sample_area(self, rng: np.random.Generator) -> float:
        """A log-normal area in square pixels, limited to its 5 % to 95 % quantiles."""
        # 1.645 is the 95 % quantile of the standard normal distribution.
        z = float(np.clip(rng.standard_normal(), -1.645, 1.645))
        return float(self.median_area * (self.median_area / self.small_area) ** (z / 1.645))


def _label_statistics() -> Mapping[str, DefectSize]:
    return MappingProxyType(
        {
            "open": DefectSize(94, 34, (13, 11, 11, 10)),
            "short": DefectSize(144, 47, (14, 11, 11, 10)),
            "mousebite": DefectSize(56, 18, (11, 11, 10, 9)),
            "spur": DefectSize(75, 29, (12, 10, 9, 10)),
            "copper": DefectSize(160, 58, (10, 10, 9, 9)),
            "pin-hole": DefectSize(109, 31, (10, 10, 9, 9)),
        }
    )


@dataclass(frozen=True)
class DefectSizes:
    """Sizes, margins and clearances of drawn defects, in pixels.

    The default areas and margins were read once from the labels of DeepPCB's training split, so a detector that is
    trained with them has used label statistics, though no label. A box that a person draws is the defect and a
    margin of about 10 px; a synthetic box without that margin would teach boxes which such labels reject. To use no
    label at all, give your own sizes.

    Attributes:
        classes: size by class name.
        margin_jitter: standard deviation of each margin, pixels. 0 makes every box exactly as the settings say.
        clearance: a mousebite or spur may grow by this much, pixels, and still neither cuts nor bridges anything;
            island and pin-hole keep this distance from the next edge. Larger than the scan noise, so that what is
            drawn as one class cannot be scanned as another.
        least_width: of any stroke, pixels, so that scan noise does not hide it.
        longest: open cuts and shorts are at most this long, pixels.
    """

    classes: Mapping[str, DefectSize] = field(default_factory=_label_statistics)
    margin_jitter: float = 1.0
    clearance: int = 2
    least_width: float = 3.5
    longest: int = 60

    def __post_init__(self) -> None:
        if self.margin_jitter < 0 or not 1 <= self.clearance <= 6 or self.least_width < 1 or self.longest < 4:
            raise SettingsError(
                "expected margin_jitter >= 0, clearance 1 to 6, least_width >= 1 and longest >= 4, found "
                f"{self.margin_jitter}, {self.clearance}, {self.least_width} and {self.longest}",
                fix="correct the defect sizes",
            )
