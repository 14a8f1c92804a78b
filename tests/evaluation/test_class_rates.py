from __future__ import annotations

from collections.abc import Callable

import pytest

from copperline.detections import Detections
from copperline.evaluation import evaluate, wilson_interval
from copperline.evaluation.class_rates import class_rates
from copperline.model_info import OperatingPoint
from copperline.taxonomy import DEEPPCB


def test_the_diagonal_of_the_confusion_counts_is_what_was_found(make_boards: Callable[..., object]) -> None:
    detections, labels = make_boards(5, 20, classes=4)  # type: ignore[misc]
    measured = evaluate(detections, labels, [], DEEPPCB, OperatingPoint.uniform(DEEPPCB, 0.4), resamples=0)
    rates = class_rates(measured)
    assert [rate.name for rate in rates] == list(DEEPPCB.names)
    for rate in rates[:4]:
        assert rate.recall == pytest.approx(rate.found / rate.labels)
        assert rate.precision == pytest.approx(rate.found / rate.called)
        assert rate.recall_interval == wilson_interval(rate.found, rate.labels)
        assert rate.precision_interval == wilson_interval(rate.found, rate.called)
    assert sum(rate.found for rate in rates) == round((measured.recall or 0) * measured.labels)


def test_a_class_without_labels_is_not_measured() -> None:
    label = Detections.of([[0, 0, 9, 9]], [0])
    measured = evaluate([label], [label], [], DEEPPCB, OperatingPoint.uniform(DEEPPCB, 0.5), resamples=0)
    first, *others = class_rates(measured)
    assert (first.labels, first.found, first.called, first.recall) == (1, 1, 1, 1.0)
    for rate in others:
        assert (rate.precision, rate.recall, rate.precision_interval, rate.recall_interval) == (None,) * 4
