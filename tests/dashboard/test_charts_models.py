from __future__ import annotations

import pytest

from copperline.dashboard import charts_models
from copperline.evaluation import Discordance, PairedComparison, PairedFigure
from copperline.taxonomy import DEEPPCB, Call


def test_curves_keep_their_points() -> None:
    figure = charts_models.curves(
        {"mAP50": ((4, 0.5), (8, 0.9)), "AP33": ()}, title="Validation", y_title="AP", per_cent=True
    )
    assert [(line.name, tuple(line.x), tuple(line.y)) for line in figure.data] == [
        ("mAP50", (4, 8), (0.5, 0.9)),
        ("AP33", (), ()),
    ]
    assert figure.layout.yaxis.tickformat == ".0%"
    assert figure.layout.showlegend


def test_bars_have_the_colours_of_the_classes_and_none_for_what_is_not_measured() -> None:
    per_class = {"spur": {"ap50": 0.9, "ap50_95": None}, "scratch": {"ap50": 0.5, "ap50_95": 0.2}}
    full, pale = charts_models.class_bars(per_class, DEEPPCB).data
    assert list(full.marker.color) == [DEEPPCB.by_name("spur").colour, charts_models.SLATE]
    assert (list(full.y), list(full.text)) == ([0.9, 0.5], ["90.0", "50.0"])
    assert (list(pale.y), list(pale.text)) == ([None, 0.2], ["", "20.0"])


@pytest.mark.parametrize("withheld", [0, 2])
def test_the_table_of_calls(withheld: int) -> None:
    counts = {(Call.PASS, Call.PASS): 90, (Call.FAIL, Call.PASS): 8}
    if withheld:
        counts[Call.PASS, Call.WITHHELD] = withheld
    figure = charts_models.agreement(counts, "version 1", "version 2", ink="#123456")
    calls = ["PASS", "FAIL", *(["WITHHELD"] if withheld else [])]
    (cells,) = figure.data
    assert (list(cells.x), list(cells.y)) == (calls, calls)
    assert cells.customdata[0][0] == 90
    assert cells.customdata[1][0] == 8  # a row for each call of the first
    assert cells.z[0][0] > 0 > cells.z[1][0]
    notes = figure.layout.annotations
    assert len(notes) == len(calls) ** 2
    assert {note.font.color for note in notes} == {"#123456"}
    assert next(n.text for n in notes if (n.y, n.x) == ("FAIL", "PASS")).startswith("<b>8</b>")
    assert (figure.layout.yaxis.title.text, figure.layout.xaxis.title.text) == ("version 1", "version 2")


def test_differences_say_who_is_better_and_leave_out_what_is_not_measured() -> None:
    def figure(difference: float, low: float, high: float) -> PairedFigure:
        return PairedFigure(first=0.5, second=0.5 + difference, difference=difference, interval=(low, high))

    unknown = PairedFigure(first=None, second=None, difference=None, interval=None)
    chart = charts_models.differences(
        PairedComparison(
            boards=9,
            labels=9,
            clean_boards=9,
            figures={
                "recall": figure(0.02, 0.01, 0.03),
                "precision": figure(-0.02, -0.03, -0.01),
                "f_score": figure(0.01, -0.01, 0.03),
                "map50": unknown,
                "false_call_rate": figure(0.02, 0.01, 0.03),
            },
            false_calls=Discordance.of(0, 9),
            missing_boards=Discordance.of(0, 0),
            resamples=10,
        )
    )
    colours = {line.y[0]: line.marker.color for line in chart.data}
    assert colours == {
        "Recall": charts_models.TEAL,
        "Precision": charts_models.COPPER,
        "F-score": charts_models.SLATE,
        "Clean boards with a false call": charts_models.COPPER,
    }
    recall = chart.data[0]
    assert (recall.x[0], recall.error_x.array[0], recall.error_x.arrayminus[0]) == pytest.approx((2.0, 1.0, 1.0))
