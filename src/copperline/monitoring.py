"""The quantities that are watched for drift, and the bins that they are counted in: for model cards and the warehouse.

Equal bins and not quantiles, so that counts of different hours, lines and models add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from copperline.errors import DataError

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
        """(BINS + 1,) edges in ascending order. A value on an edge belongs to the bin above it, and so may one that is
        below it by less than rounding can tell."""
        return np.linspace(self.low, self.high, BINS + 1)

    def counts(self, values: npt.ArrayLike) -> tuple[int, ...]:
        """(BINS,) how many of the values lie in each bin.

        Raises:
            DataError: a value is missing or not finite: it belongs to no bin.

        >>> CONFIDENCE.counts([0.0, 0.05, 0.99, 1.0])[:2], CONFIDENCE.counts([0.0, 0.05, 0.99, 1.0])[-1]
        ((1, 1), 2)
        """
        numbers = np.asarray(values, dtype=np.float64).ravel()
        wrong = numbers[~np.isfinite(numbers)]
        if len(wrong):
            raise DataError(
                f"expected finite values, found {wrong[0]} ({len(wrong)} of {len(numbers)} are not finite)",
                where=self.name,
                fix="leave out what was not measured",
            )
        # As the warehouse computes it in SQL: the same division and rounding towards 0, so the same bin. Clipped
        # before it is an integer: a double can be larger than any.
        with np.errstate(over="ignore"):
            positions = ((numbers - self.low) / self.width).clip(0, BINS - 1).astype(np.int64)
        return tuple(np.bincount(positions, minlength=BINS).tolist())

    def middle(self, counts: Sequence[int], share: float = 0.9) -> tuple[float, float] | None:
        """Between which edges that share of the values lies, with as much left out below as above, to whole bins.

        None without any value.

        >>> BRIGHTNESS.middle([0] * 10 + [2, 50, 50, 1] + [0] * 6)
        (140.8, 166.4)
        """
        summed = np.cumsum(counts)
        if not summed[-1]:
            return None
        first, last = np.searchsorted(summed, [summed[-1] * (1 - share) / 2, summed[-1] * (1 + share) / 2])
        return self.low + self.width * int(first), self.low + self.width * (int(last) + 1)


CONFIDENCE = Quantity("confidence", 0, 1, "confidence of a detection, 0-1", by_class=True)
REGISTRATION = Quantity("registration_score", 0, 1, "quality of the registration, 0-1")
BRIGHTNESS = Quantity("brightness", 0, 256, "mean grey level of the test image, 0-255")
CONTRAST = Quantity("contrast", 0, 128, "standard deviation of the test image's grey levels, 0-127.5")

# Cards of models hold counts over these bins: whoever changes the bins changes what those counts mean.
QUANTITIES = (CONFIDENCE, REGISTRATION, BRIGHTNESS, CONTRAST)
