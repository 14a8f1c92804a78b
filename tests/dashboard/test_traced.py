from __future__ import annotations

import pytest

pytest.importorskip("streamlit")

from streamlit.testing.v1 import AppTest

from copperline.dashboard.traced import interval_text, value_text
from copperline.quality import Rate, defect_rate, dpmo, dpu, escape_rate, false_call_ppm


@pytest.mark.parametrize(
    ("rate", "value", "interval"),
    [
        (defect_rate(3, 200), "1.50 %", "3 of 200; 95 %: 0.51 - 4.32 %"),
        (defect_rate(0, 1200), "0.00 %", "0 of 1,200; 95 %: 0.00 - 0.32 %"),
        (defect_rate(0, 0), "not measured", "0 of 0"),
        (dpu(30, 20), "1.5", "30 on 20; 95 %: 1.01 - 2.14"),
        (dpmo(30, 20, None), "not measured", "30 counted, of how many is not known"),
        (dpmo(30, 20, 100), "15,000", "30 on 2,000; 95 %: 10,118 - 21,414"),
        (false_call_ppm(1, 100), "10,000", "1 on 100; 95 %: 1,767 - 54,486"),
        (escape_rate(0, 0), "not measured", "0 of 0"),
    ],
)
def test_figures_as_people_read_them(rate: Rate, value: str, interval: str) -> None:
    assert value_text(rate) == value
    assert interval_text(rate) == interval


def figures() -> None:
    from copperline.dashboard.traced import metric
    from copperline.quality import defect_rate, dpu, rate_change

    better = rate_change(defect_rate(10, 1000), defect_rate(60, 1000))
    metric("Defect rate", better, "FAIL / boards", ["SELECT 1", "SELECT 2"], good="down", key="a")
    metric("DPU", rate_change(dpu(5, 10), dpu(4, 10)), "defects / boards", ["SELECT 3"], good="down", key="b")
    metric("Unknown", rate_change(defect_rate(0, 0), defect_rate(1, 9)), "none", [], good=None, key="c")


def test_each_metric_has_its_interval_its_change_and_its_query() -> None:
    ran = AppTest.from_function(figures).run()
    assert not ran.exception
    rate, dpu_ = ran.metric
    assert (rate.label, rate.value, rate.delta) == ("Defect rate", "1.00 %", "-5.00 pp")
    assert (dpu_.value, dpu_.delta) == ("0.5", "+0.1")
    said = [caption.value for caption in ran.caption]
    assert "10 of 1,000; 95 %: 0.54 - 1.83 %. Changed more than chance explains." in said
    assert "0 of 0. No change measured." in said
    assert [code.value for code in ran.code] == ["SELECT 1", "SELECT 2", "SELECT 3"]
    texts = [text.value for text in ran.markdown]
    assert "FAIL / boards\n\nUnit: boards called FAIL per inspected board." in texts
    assert texts.count("#### not measured") == 1
    assert said.count("The query of these counts; `copperline sql` runs it.") == 2  # not where no query ran


def test_a_change_within_chance_is_said_to_be() -> None:
    ran = AppTest.from_function(figures).run()
    assert any("The change may be chance." in caption.value for caption in ran.caption)
