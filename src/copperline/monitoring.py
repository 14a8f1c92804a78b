"""The quantities that are watched for drift, and the bins that they are counted in: for model cards and the warehouse.

Equal bins and not quantiles, so that counts of different hours, lines and models add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 20


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something measured on every inspection.

    Attributes:
        name: as in the tables and in model cards.
        low, high: range of the bins; what lies outside counts in the first or the last.
        unit: in words.
        by_class: whether each detection has a value, and not each image.
    """

    name: str
    low: float
    high: float
    unit: str
    by_class: bool = False

    @property
    def width(self) -> float:
        """Of one bin."""
        return (self.high - self.low) / BINS

    def edges(self) -> npt.NDArray[np.float64]:
        """(BINS + 1,) edges in ascending order; a value on an edge belongs to the bin above it."""
        return np.linspace(self.low, self.high, BINS + 1)

    def counts(self, values: npt.ArrayLike) -> tuple[int, ...]:
        """(BINS,) how many of the values lie in each bin.

        >>> CONFIDENCE.counts([0.0, 0.05, 0.99, 1.0])[:2], CONFIDENCE.counts([0.0, 0.05, 0.99, 1.0])[-1]
        ((1, 1), 2)
        """
        # As the warehouse computes it in SQL: the same rounding, so the same bin.
        positions = np.floor((np.asarray(values, dtype=np.float64) - self.low) / self.width).astype(np.int64)
        return tuple(np.bincount(positions.clip(0, BINS - 1), minlength=BINS).tolist())


CONFIDENCE = Quantity("confidence", 0, 1, "confidence of a detection, 0-1", by_class=True)
REGISTRATION = Quantity("registration_score", 0, 1, "quality of the registration, 0-1")
BRIGHTNESS = Quantity("brightness", 0, 256, "mean grey level of the test image, 0-255")
CONTRAST = Quantity("contrast", 0, 128, "standard deviation of the test image's grey levels, 0-127.5")

QUANTITIES = (CONFIDENCE, REGISTRATION, BRIGHTNESS, CONTRAST)
