"""From detections to an `Evaluation`: detections against labels, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from copperline.detections import Detections
from copperline.evaluation.average_precision import coco_ap_of, coco_matches, deeppcb_ap_of, nan_mean
from copperline.evaluation.intervals import Interval, bootstrap_counts, percentile_interval, wilson_interval
from copperline.evaluation.matching import (
    MATCHING_IOU,
    Floats,
    Integers,
    Matches,
    Stage,
    StagedMatches,
    match,
    match_in_stages,
)
from copperline.evaluation.results import ClassEvaluation, Confusion, ConfusionPair, Evaluation
from copperline.model_info import OperatingPoint
from copperline.taxonomy import Taxonomy

BACKGROUND = "background"
_OWN_CLASS_FIRST = (Stage(MATCHING_IOU), Stage(MATCHING_IOU, same_class=False))
_BLOCK = 20  # resamples computed together: their cumulative sums fit in the cache
_INTERVALS_OF_AP = ("ap33", "ap33_pooled", "map50", "map50_95")


def evaluate(
    detections: Sequence[Detections],
    labels: Sequence[Detections],
    clean_detections: Sequence[Detections],
    taxonomy: Taxonomy,
    operating_point: OperatingPoint,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> Evaluation:
    """Everything that can be measured on a labelled data set.

    Args:
        detections: of each labelled board, from the lowest confidence on (average precision needs the tail).
        labels: of the same boards, in the same order.
        clean_detections: of defect-free boards; empty: false calls are "not measured".
        taxonomy: the classes.
        operating_point: the thresholds in force.
        resamples: bootstrap samples of the boards for the intervals; 0: no intervals.
        seed: of the bootstrap.

    Raises:
        ValueError: detections and labels are not of the same number of boards.
        ModelError: the operating point lacks a class.
    """
    classes, limits = len(taxonomy), operating_point.as_array(taxonomy)
    ranking = _Ranking(coco_matches(detections, labels), match(detections, labels, MATCHING_IOU), classes)
    once = ranking.average_precisions(np.ones((1, len(labels)), dtype=np.int64))
    called = [d.called(limits) for d in detections]
    matches = match_in_stages(called, labels, _OWN_CLASS_FIRST)
    confusion = _confusion(matches, classes)
    found, false, missed = _tally(matches, len(labels), classes)
    totals = int(found.sum()), int(false.sum()), int(missed.sum())
    false_calls = sum(1 for d in clean_detections if len(d.called(limits)))
    clean = len(clean_detections)

    return Evaluation(
        images=len(labels),
        labels=sum(map(len, labels)),
        ap33=_measured(once.ap33[0]),
        ap33_pooled=_measured(once.ap33_pooled[0]),
        map50=_measured(once.map50[0]),
        map50_95=_measured(once.map50_95[0]),
        per_class={
            c.name: ClassEvaluation(
                labels=int(found[:, c.id].sum() + missed[:, c.id].sum()),
                ap33=_measured(once.deeppcb[0, c.id]),
                ap50=_measured(once.coco[0, c.id, 0]),
                ap50_95=_measured(once.coco[0, c.id].mean()),
                precision=_ratio(found[:, c.id].sum(), found[:, c.id].sum() + false[:, c.id].sum()),
                recall=_ratio(found[:, c.id].sum(), found[:, c.id].sum() + missed[:, c.id].sum()),
                threshold=operating_point.thresholds[c.name],
            )
            for c in taxonomy
        },
        f_score=_ratio(2 * totals[0], 2 * totals[0] + totals[1] + totals[2]),
        precision=_ratio(totals[0], totals[0] + totals[1]),
        recall=_ratio(totals[0], totals[0] + totals[2]),
        recall_any_class=_ratio(
            int((match(called, labels, same_class=False).found_by[0] >= 0).sum()), sum(map(len, labels))
        ),
        false_detections_per_image=_ratio(totals[1], len(labels)),
        clean_boards=clean,
        false_call_boards=false_calls if clean else None,
        false_call_rate=_ratio(false_calls, clean),
        false_call_interval=wilson_interval(false_calls, clean),
        intervals=_intervals(ranking, found.sum(axis=1), false.sum(axis=1), missed.sum(axis=1), resamples, seed),
        confusion=Confusion(names=(*taxonomy.names, BACKGROUND), counts=tuple(map(tuple, confusion.tolist()))),
        confusion_pairs=_pairs(confusion, taxonomy),
        operating_point=operating_point,
    )


def confusion_counts(called: Sequence[Detections], labels: Sequence[Detections], classes: int) -> Integers:
    """Counts of (true class, called class), (C + 1, C + 1) int64; the last row and column are the background.

    Detections first find labels of their own class, as everywhere else, so that the diagonal agrees with precision
    and recall; only what is left of both is then matched across the classes. IoU 0.33.

    Args:
        called: the detections at the operating point, one entry per board.
        labels: likewise.
        classes: C.
    """
    return _confusion(match_in_stages(called, labels, _OWN_CLASS_FIRST), classes)


def _confusion(matches: StagedMatches, classes: int) -> Integers:
    counts = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    hit, taken = matches.label_found >= 0, matches.found_by >= 0
    true_classes, called_classes = matches.labels.class_ids, matches.detections.class_ids
    np.add.at(counts, (true_classes[matches.label_found[hit]], called_classes[hit]), 1)
    counts[-1, :-1] = np.bincount(called_classes[~hit], minlength=classes)
    counts[:-1, -1] = np.bincount(true_classes[~taken], minlength=classes)
    return counts


@dataclass(frozen=True, eq=False)
class _AveragePrecisions:
    """For R ways of counting the boards: `deeppcb` (R, C), `coco` (R, C, 10), the others (R,); NaN: not measured."""

    deeppcb: Floats
    coco: Floats
    ap33: Floats
    ap33_pooled: Floats
    map50: Floats
    map50_95: Floats


@dataclass(frozen=True, eq=False)
class _Ranking:
    """The matches that all average precisions come from."""

    coco: Matches
    deeppcb: Matches
    classes: int

    def average_precisions(self, counts: Integers) -> _AveragePrecisions:
        deeppcb = deeppcb_ap_of(self.deeppcb, self.classes, counts)
        coco = coco_ap_of(self.coco, self.classes, counts)
        return _AveragePrecisions(
            deeppcb=deeppcb.per_class,
            coco=coco,
            ap33=deeppcb.mean,
            ap33_pooled=deeppcb.pooled,
            map50=nan_mean(coco[:, :, 0]),
            map50_95=nan_mean(coco.mean(axis=2)),
        )


def _tally(matches: StagedMatches, images: int, classes: int) -> tuple[Integers, Integers, Integers]:
    """Found labels, false detections and missed labels by board and class: each (images, C)."""
    correct = matches.stage == 0

    def table(of_images: Integers, class_ids: Integers) -> Integers:
        counts = np.zeros((images, classes), dtype=np.int64)
        np.add.at(counts, (of_images, class_ids), 1)
        return counts

    found = table(matches.detection_images[correct], matches.detections.class_ids[correct])
    false = table(matches.detection_images[~correct], matches.detections.class_ids[~correct])
    return found, false, table(matches.label_images, matches.labels.class_ids) - found


def _intervals(
    ranking: _Ranking, found: Integers, false: Integers, missed: Integers, resamples: int, seed: int
) -> dict[str, Interval]:
    """95 % intervals; `found`, `false` and `missed` by board, (images,)."""
    if not resamples:
        return {}
    counts = bootstrap_counts(ranking.coco.images, resamples, seed)
    blocks = [ranking.average_precisions(counts[i : i + _BLOCK]) for i in range(0, resamples, _BLOCK)]
    hits, wrong, lost = counts @ found, counts @ false, counts @ missed

    def ratio(part: Integers, whole: Integers) -> Floats:
        quotient: Floats = np.divide(part, whole, out=np.full(resamples, np.nan), where=whole > 0)
        return quotient

    samples = {
        **{name: np.concatenate([getattr(b, name) for b in blocks]) for name in _INTERVALS_OF_AP},
        "f_score": ratio(2 * hits, 2 * hits + wrong + lost),
        "precision": ratio(hits, hits + wrong),
        "recall": ratio(hits, hits + lost),
    }
    limits = {name: percentile_interval(values) for name, values in samples.items()}
    return {name: interval for name, interval in limits.items() if interval is not None}


def _pairs(confusion: Integers, taxonomy: Taxonomy) -> tuple[ConfusionPair, ...]:
    between = confusion[:-1, :-1].copy()
    np.fill_diagonal(between, 0)
    pairs = [
        ConfusionPair(true=taxonomy[t].name, predicted=taxonomy[p].name, count=int(between[t, p]))
        for t, p in np.argwhere(between)
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair.count))


def _measured(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
