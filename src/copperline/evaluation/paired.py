"""Two models on the same boards: how far apart their figures are, and whether chance explains it.

Both models meet the same boards, so boards are resampled for both at once: what is hard about a board is hard for both
and falls out of the difference. Two intervals of the single figures would say less.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from copperline.detections import Detections
from copperline.errors import SettingsError
from copperline.evaluation.average_precision import COCO_MAX_DETECTIONS, coco_ap_of, nan_mean
from copperline.evaluation.intervals import Interval, bootstrap_counts, percentile_interval
from copperline.evaluation.matching import Floats, Integers, Matches, match
from copperline.model_info import OperatingPoint
from copperline.taxonomy import Taxonomy

RESAMPLES = 1000
RECALL, PRECISION, F_SCORE, FALSE_CALLS, MAP50 = "recall", "precision", "f_score", "false_call_rate", "map50"
_BLOCK = 50  # resamples computed together
_EXACT_UP_TO = 1000  # coins that are counted in whole numbers


class PairedFigure(BaseModel):
    """One figure of two models on the same boards; rates in [0, 1], None: not measured.

    Attributes:
        first, second: of each model.
        difference: second - first.
        interval: 95 % interval of the difference, paired percentile bootstrap over boards.
    """

    model_config = ConfigDict(frozen=True)

    first: float | None
    second: float | None
    difference: float | None
    interval: Interval | None

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0; False: the difference may be chance, or is not measured."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)

    def reversed(self) -> PairedFigure:
        """The same with the models changed over."""
        return PairedFigure(
            first=self.second,
            second=self.first,
            difference=None if self.difference is None else -self.difference,
            interval=None if self.interval is None else (-self.interval[1], -self.interval[0]),
        )


class Discordance(BaseModel):
    """Boards on which one of two models was right and the other wrong, or said yes and the other no.

    Attributes:
        only_first, only_second: boards of which it is true for that model alone.
        p_value: McNemar's exact test, see `mcnemar_exact`.
    """

    model_config = ConfigDict(frozen=True)

    only_first: int
    only_second: int
    p_value: float

    @classmethod
    def of(cls, only_first: int, only_second: int) -> Discordance:
        return cls(only_first=only_first, only_second=only_second, p_value=mcnemar_exact(only_first, only_second))

    def reversed(self) -> Discordance:
        return Discordance.of(self.only_second, self.only_first)


class PairedComparison(BaseModel):
    """Two models, each at its own operating point, on the same labelled boards.

    Attributes:
        boards: labelled boards.
        labels: defects on them.
        clean_boards: defect-free boards; 0: false calls were not measured.
        figures: `recall`, `precision`, `f_score`, `false_call_rate`, `map50`.
        false_calls: clean boards that one model alone raised a false call on; None: not measured.
        missing_boards: boards on which one model alone missed a label.
        resamples: of the bootstrap.
    """

    model_config = ConfigDict(frozen=True)

    boards: int
    labels: int
    clean_boards: int
    figures: dict[str, PairedFigure]
    false_calls: Discordance | None
    missing_boards: Discordance
    resamples: int

    def reversed(self) -> PairedComparison:
        """The same with the models changed over."""
        return self.model_copy(
            update={
                "figures": {name: figure.reversed() for name, figure in self.figures.items()},
                "false_calls": None if self.false_calls is None else self.false_calls.reversed(),
                "missing_boards": self.missing_boards.reversed(),
            }
        )


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's exact test, for boards on which exactly one of two models says yes.

    If neither is inclined to it more than the other, each such board is a fair coin: twice the binomial probability of
    a count as small as the smaller one, at most 1 (McNemar 1947, "Note on the sampling error of the difference between
    correlated proportions or percentages", Psychometrika 12, 153-157). Boards on which both say the same do not enter.

    Raises:
        SettingsError: a count is negative.

    >>> mcnemar_exact(1, 9)
    0.021484375
    >>> mcnemar_exact(0, 0)
    1.0
    """
    if min(only_first, only_second) < 0:
        raise SettingsError(f"expected counts of 0 or more, found {only_first} and {only_second}", fix="count boards")
    total, least = only_first + only_second, min(only_first, only_second)
    if total > _EXACT_UP_TO:
        return _coin_tail(least, total)
    # In whole numbers: no rounding, and no overflow.
    return min(1.0, 2 * sum(comb(total, i) for i in range(least + 1)) / (1 << total))


def compare_paired(
    detections: tuple[Sequence[Detections], Sequence[Detections]],
    clean_detections: tuple[Sequence[Detections], Sequence[Detections]],
    labels: Sequence[Detections],
    taxonomy: Taxonomy,
    operating_points: tuple[OperatingPoint, OperatingPoint],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedComparison:
    """Compares two models on labelled boards.

    Args:
        detections: of the first and of the second model, one entry for each labelled board, from the lowest confidence
            on.
        clean_detections: likewise of the defect-free boards; both empty: false calls are not measured.
        labels: of the labelled boards, in the same order.
        taxonomy: the classes.
        operating_points: each model's own.
        resamples: bootstrap samples of the boards, 1 or more.
        seed: of the bootstrap.

    Raises:
        ValueError: the numbers of boards differ.
        ModelError: an operating point lacks a class.
    """
    clean = [len(each) for each in clean_detections]
    if clean[0] != clean[1]:
        raise ValueError(f"expected the same clean boards for both models, found {clean[0]} and {clean[1]}")
    first, second = (
        _Counted.of(each, cleans, labels, taxonomy, point)
        for each, cleans, point in zip(detections, clean_detections, operating_points, strict=True)
    )
    once, once_clean = np.ones((1, len(labels)), np.int64), np.ones((1, clean[0]), np.int64)
    counts = bootstrap_counts(len(labels), resamples, seed)
    # Of clean boards a sample of their own: there may be fewer of them than labelled boards.
    clean_counts = bootstrap_counts(clean[0], resamples, seed + 1)
    values = [model.figures(once, once_clean, len(taxonomy)) for model in (first, second)]
    samples = [model.figures(counts, clean_counts, len(taxonomy)) for model in (first, second)]
    return PairedComparison(
        boards=len(labels),
        labels=sum(map(len, labels)),
        clean_boards=clean[0],
        figures={
            name: _figure(values[0][name][0], values[1][name][0], samples[1][name] - samples[0][name])
            for name in values[0]
        },
        false_calls=_discordance(first.false_called, second.false_called) if clean[0] else None,
        missing_boards=_discordance(first.missed > 0, second.missed > 0),
        resamples=resamples,
    )


class _Counted:
    """What one model did on each board."""

    def __init__(
        self, found: Integers, false: Integers, missed: Integers, ranking: Matches, false_called: npt.NDArray[np.bool_]
    ) -> None:
        self.found, self.false, self.missed = found, false, missed
        self.ranking, self.false_called = ranking, false_called

    @classmethod
    def of(
        cls,
        detections: Sequence[Detections],
        clean: Sequence[Detections],
        labels: Sequence[Detections],
        taxonomy: Taxonomy,
        point: OperatingPoint,
    ) -> _Counted:
        limits, boards = point.as_array(taxonomy), len(labels)
        called = match([each.called(limits) for each in detections], labels)
        hit, taken = called.correct[0], called.found_by[0] >= 0
        return cls(
            np.bincount(called.detection_images[hit], minlength=boards),
            np.bincount(called.detection_images[~hit], minlength=boards),
            np.bincount(called.label_images[~taken], minlength=boards),
            match(detections, labels, 0.5, max_per_class=COCO_MAX_DETECTIONS),
            np.array([len(each.called(limits)) > 0 for each in clean], dtype=bool),
        )

    def figures(self, counts: Integers, clean_counts: Integers, classes: int) -> dict[str, Floats]:
        """Each (R,), NaN where not measured, for R ways of counting the boards."""
        found, false, missed = counts @ self.found, counts @ self.false, counts @ self.missed
        blocks = [
            nan_mean(coco_ap_of(self.ranking, classes, counts[i : i + _BLOCK])[:, :, 0])
            for i in range(0, len(counts), _BLOCK)
        ]
        return {
            RECALL: _ratio(found, found + missed),
            PRECISION: _ratio(found, found + false),
            F_SCORE: _ratio(2 * found, 2 * found + false + missed),
            FALSE_CALLS: _ratio(clean_counts @ self.false_called, clean_counts.sum(axis=1)),
            MAP50: np.concatenate(blocks),
        }


def _figure(first: float, second: float, differences: Floats) -> PairedFigure:
    measured = not (np.isnan(first) or np.isnan(second))
    return PairedFigure(
        first=None if np.isnan(first) else float(first),
        second=None if np.isnan(second) else float(second),
        difference=float(second - first) if measured else None,
        interval=percentile_interval(differences) if measured else None,
    )


def _discordance(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> Discordance:
    return Discordance.of(int((first & ~second).sum()), int((second & ~first).sum()))


def _ratio(part: Integers, whole: Integers) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return ratio


def _coin_tail(least: int, total: int) -> float:
    """2 P(X <= least) for `total` fair coins, at most 1, by logarithms: exact to rounding, and quick for many."""
    steps = np.arange(1, least + 1)
    log_comb = np.concatenate([[0.0], np.cumsum(np.log(total - steps + 1) - np.log(steps))])
    log_terms = log_comb - total * np.log(2.0)
    top = log_terms.max()
    return float(min(1.0, 2 * np.exp(top) * np.exp(log_terms - top).sum()))
