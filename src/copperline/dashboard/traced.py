"""Figures that can be traced: value, interval, denominator and change, with a button that shows formula and query."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from copperline.quality import Change, Interval, Rate

NOT_MEASURED = "not measured"
PERCENT = 100


def value_text(rate: Rate) -> str:
    """The value as people read it.

    >>> from copperline.quality import defect_rate, dpu
    >>> value_text(defect_rate(3, 200)), value_text(dpu(30, 20)), value_text(defect_rate(0, 0))
    ('1.50 %', '1.500', 'not measured')
    """
    return NOT_MEASURED if rate.value is None else _number(rate.value, rate.proportion)


def interval_text(rate: Rate) -> str:
    """The 95 % interval and what was counted.

    >>> from copperline.quality import defect_rate
    >>> interval_text(defect_rate(3, 200))
    '0.51 - 4.32 % (3 of 200)'
    """
    counted = f"{rate.numerator:,} of {NOT_MEASURED if rate.denominator is None else f'{rate.denominator:,}'}"
    if rate.interval is None:
        return counted
    return f"{_range(rate.interval, rate.proportion)} ({counted})"


def metric(label: str, change: Change, formula: str, statements: Sequence[str], *, good: str | None, key: str) -> None:
    """One figure in a frame: value, change against the previous period, interval, denominator, and its info button.

    Args:
        label: the figure's name in `quality-terms`.
        change: the figure now and in the previous period.
        formula: in words, with the unit.
        statements: the SQL that it was counted by.
        good: `up` or `down`, what is better; None: neither.
        key: of the info button, unique on the page.
    """
    rate = change.current
    with st.container(border=True):
        st.metric(
            label,
            value_text(rate),
            delta=_delta(change),
            delta_color={"up": "normal", "down": "inverse"}.get(good or "", "off"),  # type: ignore[arg-type]
            delta_description=_chance(change),
        )
        st.caption(f"95 %: {interval_text(rate)}" if rate.interval else interval_text(rate))
        explain(f"{formula}\n\nUnit: {rate.unit}.", statements, key=key)


def explain(formula: str, statements: Sequence[str] = (), *, key: str) -> None:
    """The info button: formula and, word for word, the queries that ran.

    Args:
        formula: Markdown.
        statements: SQL without parameters left open; `copperline sql` runs them.
        key: unique on the page.
    """
    with st.popover("How", icon=":material/function:", key=f"how-{key}", type="tertiary"):
        st.markdown(formula)
        for statement in statements:
            st.code(statement, language="sql", wrap_lines=True)
        if statements:
            st.caption("The query as it ran; `copperline sql` runs it too.")


def _number(value: float, proportion: bool) -> str:
    if proportion:
        return f"{PERCENT * value:.2f} %"
    return f"{value:,.0f}" if abs(value) >= PERCENT else f"{value:.3f}"


def _range(interval: Interval, proportion: bool) -> str:
    low, high = interval
    if proportion:
        return f"{PERCENT * low:.2f} - {PERCENT * high:.2f} %"
    return f"{_number(low, False)} - {_number(high, False)}"


def _delta(change: Change) -> str | None:
    if change.difference is None:
        return None
    points = " pp" if change.current.proportion else ""
    return f"{change.difference:+.2f}{points}" if change.current.proportion else f"{change.difference:+,.3g}"


def _chance(change: Change) -> str:
    if change.difference is None:
        return "previous period not measured"
    if change.excludes_zero:
        return "more than chance explains"
    return "may be chance"
