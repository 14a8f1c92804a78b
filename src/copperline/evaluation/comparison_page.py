"""A comparison of two models as rows of a table and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from copperline.evaluation.pages import NOT_MEASURED, environment
from copperline.evaluation.paired import FALSE_CALLS, PairedComparison
from copperline.evaluation.verdict import CHANCE, verdict
from copperline.files import atomic_file

FIGURES = {
    "recall": "recall",
    "precision": "precision",
    "f_score": "F-score",
    "map50": "mAP50",
    FALSE_CALLS: "clean boards with a false call",
}
BEYOND, WITHIN = "beyond chance", "may be chance"


def comparison_rows(comparison: PairedComparison) -> list[tuple[str, str, str, str, str, str]]:
    """For each figure: its name, both values, the difference in points, its 95 % interval, what it says.

    False calls are told from chance by McNemar's test, the others by whether the interval leaves out 0.
    """
    rows = []
    for name, words in FIGURES.items():
        figure = comparison.figures[name]
        beyond = figure.excludes_zero
        if name == FALSE_CALLS and comparison.false_calls is not None:
            beyond = comparison.false_calls.p_value < CHANCE
        measured = figure.difference is not None
        rows.append(
            (
                words,
                _per_cent(figure.first),
                _per_cent(figure.second),
                _points(figure.difference),
                "" if figure.interval is None else f"{_points(figure.interval[0])} to {_points(figure.interval[1])}",
                (BEYOND if beyond else WITHIN) if measured else NOT_MEASURED,
            )
        )
    return rows


def write_comparison_page(
    path: Path, comparison: PairedComparison, first: str, second: str, facts: Sequence[str]
) -> Path:
    """One HTML file that needs no network.

    Args:
        first, second: what the models are called.
        facts: sentences on what was measured, when, and what has to be known of it.

    Raises:
        DataError: the file cannot be written.
    """
    page = (
        environment()
        .get_template("comparison.html.j2")
        .render(
            title=f"{first} and {second} on the same boards",
            verdict=verdict(comparison, first, second),
            first=first,
            second=second,
            rows=comparison_rows(comparison),
            comparison=comparison,
            facts=facts,
        )
    )
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _per_cent(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{100 * value:.1f} %"


def _points(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{100 * value:+.1f}"
