from __future__ import annotations

from pathlib import Path

import pytest

from copperline.errors import DataError
from copperline.evaluation import Discordance, PairedComparison
from copperline.evaluation.comparison_page import FIGURES, comparison_rows, write_comparison_page
from copperline.evaluation.paired import PairedFigure


def comparison(only_second: int = 1) -> PairedComparison:
    better = PairedFigure(first=0.9, second=0.95, difference=0.05, interval=(0.02, 0.08))
    same = PairedFigure(first=0.9, second=0.9, difference=0.0, interval=(-0.01, 0.01))
    none = PairedFigure(first=None, second=None, difference=None, interval=None)
    return PairedComparison(
        boards=99,
        labels=200,
        clean_boards=99,
        figures={"recall": better, "precision": same, "f_score": same, "map50": none, "false_call_rate": same},
        false_calls=Discordance.of(1, only_second),
        missing_boards=Discordance.of(3, 1),
        resamples=1000,
    )


def test_each_figure_says_what_it_comes_to() -> None:
    rows = {row[0]: row[1:] for row in comparison_rows(comparison())}
    assert list(rows) == list(FIGURES.values())
    assert rows["recall"] == ("90.0 %", "95.0 %", "+5.0", "+2.0 to +8.0", "beyond chance")
    assert rows["precision"][-1] == "may be chance"
    assert rows["mAP50"] == ("not measured", "not measured", "not measured", "", "not measured")
    # False calls are judged by the boards on which the two differ.
    assert rows["clean boards with a false call"][-1] == "may be chance"
    assert comparison_rows(comparison(only_second=20))[-1][-1] == "beyond chance"


def test_the_page_has_it_all_and_escapes_names(tmp_path: Path) -> None:
    page = write_comparison_page(tmp_path / "c.html", comparison(), "<old>", "new", ["Measured on boards."])
    text = page.read_text(encoding="utf-8")
    assert "New finds more: +5.0 pp recall" in text
    assert "&lt;old&gt;" in text
    assert "<old>" not in text
    assert "Measured on boards." in text
    assert "http" not in text.replace("http-equiv", "")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        write_comparison_page(tmp_path / "file" / "c.html", comparison(), "a", "b", [])
