"""What a model's inspections looked like where it was checked: what drift on the line is measured against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from copperline.monitoring import BINS, QUANTITIES, Quantity
from copperline.taxonomy import Call

Counts = tuple[int, ...]

_BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}


class Baseline(BaseModel):
    """Histograms of the watched quantities over labelled boards, inspected as the line inspects.

    Attributes:
        boards: that were inspected.
        measured_on: in words: which boards, and whether the model had seen them.
        histograms: name of a quantity (`monitoring.QUANTITIES`) -> how many values lie in each of its bins; for one
            that each detection has, class name -> likewise. Detections are those that passed the operating point. A
            quantity that is absent was not measured.
        detections_per_board: at the operating point; boards whose call is WITHHELD count, with none.
        calls: call -> boards.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    boards: int = Field(gt=0)
    measured_on: str = Field(min_length=1)
    histograms: dict[str, Counts | dict[str, Counts]]
    detections_per_board: float = Field(ge=0, allow_inf_nan=False)
    calls: dict[Call, Annotated[int, Field(ge=0)]]

    @field_validator("histograms", mode="before")
    @classmethod
    def _check_histograms(cls, value: Any) -> Any:
        """Before pydantic tries its two forms, of which it would report both."""
        if not isinstance(value, Mapping):
            raise ValueError(f"expected an object of quantities, found {_kind(value)}")
        for name, histogram in value.items():
            quantity = _BY_NAME.get(name)
            if quantity is None:
                raise ValueError(f"expected one of the quantities {', '.join(_BY_NAME)}, found {name!r}")
            if quantity.by_class:
                if not isinstance(histogram, Mapping):
                    raise ValueError(f"{name}: expected counts for each class, found {_kind(histogram)}")
                for class_name, counts in histogram.items():
                    _check_counts(f"{name} of {class_name}", counts)
            else:
                _check_counts(name, histogram)
        return value

    @model_validator(mode="after")
    def _check_sums(self) -> Baseline:
        if sum(self.calls.values()) != self.boards:
            raise ValueError(f"expected calls of {self.boards} boards, found {sum(self.calls.values())}")
        for name, histogram in self.histograms.items():
            if not isinstance(histogram, dict) and sum(histogram) > self.boards:
                raise ValueError(f"{name}: expected at most {self.boards} boards, found {sum(histogram)}")
        return self

    def counts(self, quantity: Quantity) -> Counts | None:
        """(BINS,) images in each bin of a quantity that each image has; None: not measured."""
        found = self.histograms.get(quantity.name)
        return None if isinstance(found, dict) else found

    def counts_by_class(self, quantity: Quantity) -> dict[str, Counts] | None:
        """Class name -> (BINS,) detections in each bin of a quantity that each detection has; None: not measured."""
        found = self.histograms.get(quantity.name)
        return found if isinstance(found, dict) else None

    def named(self) -> Iterator[tuple[Quantity, str | None, Counts]]:
        """Each histogram with its quantity and class, in the order of QUANTITIES; an image has no class."""
        for quantity in QUANTITIES:
            for class_name, counts in (self.counts_by_class(quantity) or {}).items():
                yield quantity, class_name, counts
            counts_of_images = self.counts(quantity)
            if counts_of_images is not None:
                yield quantity, None, counts_of_images


def _check_counts(what: str, counts: Any) -> None:
    if not isinstance(counts, list | tuple):
        raise ValueError(f"{what}: expected {BINS} counts, found {_kind(counts)}")
    if len(counts) != BINS:
        raise ValueError(f"{what}: expected {BINS} counts, found {len(counts)}")
    for position, count in enumerate(counts):
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise ValueError(f"{what}: expected whole counts from 0, found {count!r} in bin {position}")


def _kind(value: Any) -> str:
    """As JSON calls it.

    >>> _kind({}), _kind([1]), _kind(None), _kind(0.5)
    ('an object', 'a list', 'null', '0.5')
    """
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    return "null" if value is None else repr(value)
