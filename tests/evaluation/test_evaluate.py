from __future__ import annotations

import json
import time

import numpy as np
import pytest

from copperline.detections import Detections
from copperline.evaluation.average_precision import coco_ap, deeppcb_ap
from copperline.evaluation.evaluate import confusion_counts, evaluate
from copperline.evaluation.intervals import wilson_interval
from copperline.model_info import OperatingPoint
from copperline.taxonomy import DEEPPCB

HALF = OperatingPoint.uniform(DEEPPCB, 0.5)


def boxes(*corners: float) -> list[list[float]]:
    return [[c, c, c + 20, c + 20] for c in corners]


def test_a_small_case_by_hand() -> None:
    labels = [Detections.of(boxes(0, 100, 200), [0, 0, 1]), Detections.of(boxes(0), [1]), Detections.empty()]
    detections = [
        Detections.of(boxes(0, 100, 200, 300), [0, 2, 1, 1], [0.9, 0.8, 0.4, 0.6]),
        Detections.of(boxes(0), [1], [0.7]),
        Detections.of(boxes(50), [0], [0.3]),
    ]
    clean = [Detections.empty(), Detections.of(boxes(9), [5], [0.5]), Detections.of(boxes(9), [5], [0.49])]
    result = evaluate(detections, labels, clean, DEEPPCB, HALF, resamples=20)

    # At 0.5: two found (open on board 1, short on board 2), two false (mousebite, short), two missed.
    assert (result.images, result.labels) == (3, 4)
    assert (result.precision, result.recall, result.f_score) == (0.5, 0.5, 0.5)
    assert result.false_detections_per_image == pytest.approx(2 / 3)
    assert (result.clean_boards, result.false_call_boards) == (3, 1)
    assert result.false_call_rate == pytest.approx(1 / 3)
    assert result.false_call_interval == wilson_interval(1, 3)
    # Shorts in order: 0.7 found, 0.6 false, 0.4 found: (1/1 + 2/3) / 2. Opens: one of two found, first in order.
    assert result.per_class["short"].ap33 == pytest.approx(5 / 6)
    assert result.per_class["open"].ap33 == 0.5
    assert result.ap33 == pytest.approx(2 / 3)
    # Pooled: ranks 1 (open), 3 (short) and 5 (short) are right.
    assert result.ap33_pooled == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)
    assert result.per_class["short"].model_dump() | {"ap33": 0, "ap50": 0, "ap50_95": 0} == {
        "labels": 2, "ap33": 0, "ap50": 0, "ap50_95": 0, "precision": 0.5, "recall": 0.5, "threshold": 0.5,
    }  # fmt: skip
    assert [p.model_dump() for p in result.confusion_pairs] == [{"true": "open", "predicted": "mousebite", "count": 1}]
    counts = np.array(result.confusion.counts)
    assert result.confusion.names[-1] == "background"
    assert (counts[0, 0], counts[1, 1], counts[0, 2], counts[1, -1], counts[-1, 1]) == (1, 1, 1, 1, 1)
    assert counts.sum() == 5


def test_what_has_no_denominator_is_not_measured() -> None:
    nothing = evaluate([Detections.empty()], [Detections.empty()], [], DEEPPCB, HALF)
    dump = nothing.model_dump()
    for key in ("ap33", "ap33_pooled", "map50", "map50_95", "f_score", "precision", "recall"):
        assert dump[key] is None, key
    assert dump["false_call_boards"] is None
    assert dump["false_call_rate"] is None
    assert dump["false_detections_per_image"] == 0
    assert dump["intervals"] == {}
    assert dump["per_class"]["open"]["recall"] is None
    assert dump["per_class"]["open"]["ap50"] is None
    assert evaluate([], [], [], DEEPPCB, HALF).false_detections_per_image is None


def test_agrees_with_the_metrics_by_themselves(make_boards) -> None:  # type: ignore[no-untyped-def]
    detections, labels = make_boards(4, 60, classes=6)
    result = evaluate(detections, labels, detections, DEEPPCB, HALF, resamples=100)
    coco, deeppcb = coco_ap(detections, labels, 6), deeppcb_ap(detections, labels, 6)
    assert result.map50 == pytest.approx(coco[:, 0].mean())
    assert result.map50_95 == pytest.approx(coco.mean())
    assert result.ap33 == pytest.approx(deeppcb.per_class.mean())
    assert result.ap33_pooled == pytest.approx(float(deeppcb.pooled))
    counts = np.array(result.confusion.counts)
    found, called, labelled = np.trace(counts), counts[:, :-1].sum(), counts[:-1].sum()
    assert labelled == result.labels
    assert result.recall == pytest.approx(found / labelled)
    assert result.precision == pytest.approx(found / called)
    assert result.f_score == pytest.approx(2 * found / (called + labelled))
    for name in ("ap33", "ap33_pooled", "map50", "map50_95", "f_score", "precision", "recall"):
        low, high = result.intervals[name]
        assert low < getattr(result, name) < high
        assert high - low < 0.25


def test_intervals_are_seeded(make_boards) -> None:  # type: ignore[no-untyped-def]
    boards = make_boards(4, 20, classes=6)
    first, again, other = (evaluate(*boards, [], DEEPPCB, HALF, resamples=30, seed=s).intervals for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_json_has_the_promised_keys(make_boards) -> None:  # type: ignore[no-untyped-def]
    result = evaluate(*make_boards(4, 5), [], DEEPPCB, HALF).model_copy(update={"seconds": 2.0, "model": "m"})
    promised = (
        "images ap33 ap33_pooled map50 map50_95 per_class f_score precision recall false_detections_per_image "
        "clean_boards false_call_boards seconds model model_version"
    )
    dump = json.loads(result.model_dump_json())
    assert set(promised.split()) <= set(dump)
    assert set(dump["per_class"]) == set(DEEPPCB.names)
    assert {"ap50", "ap50_95"} <= set(dump["per_class"]["open"])


def test_confusion_gives_a_label_to_its_own_class_first() -> None:
    labels = [Detections.of(boxes(0), [0])]
    called = [Detections.of(boxes(0, 1), [1, 0], [0.9, 0.6])]
    counts = confusion_counts(called, labels, 2)
    assert counts.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_the_official_test_set_takes_seconds(make_boards) -> None:  # type: ignore[no-untyped-def]
    detections, labels = make_boards(0, 399, classes=6, invented=280, decimals=5)
    start = time.process_time()
    evaluate(detections, labels, detections, DEEPPCB, HALF, resamples=0)
    assert time.process_time() - start < 2


def test_a_defect_by_another_name_is_found_but_not_recalled() -> None:
    labels = [Detections.of([[0, 0, 20, 20], [50, 50, 70, 70], [90, 0, 99, 9]], [0, 1, 2])]
    called = [Detections.of([[0, 0, 20, 20], [50, 50, 70, 70]], [0, 3], [0.9, 0.9])]
    evaluation = evaluate(called, labels, [], DEEPPCB, OperatingPoint.uniform(DEEPPCB, 0.5), resamples=0)
    assert evaluation.recall == pytest.approx(1 / 3)
    assert evaluation.recall_any_class == pytest.approx(2 / 3)
