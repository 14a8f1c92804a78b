"""Figures that can be traced: value, interval, denominator and change, with a button that shows formula and query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from copperline.dashboard import theme
from copperline.quality import Change, Interval, Rate

Width = int | Literal["stretch"]

NOT_MEASURED = "not measured"
PERCENT = 100
# Of one figure's frame, in px: "100.00 %" fits in any font, and four stand in a row on a laptop's screen.
FIGURE_WIDTH = 236


def value_text(rate: Rate) -> str:
    """The value as people read it.

    >>> from copperline.quality import defect_rate, dpu
    >>> value_text(defect_rate(3, 200)), value_text(dpu(30, 20)), value_text(defect_rate(0, 0))
    ('1.50 %', '1.5', 'not measured')
    """
    return NOT_MEASURED if rate.value is None else number_text(rate.value, proportion=rate.proportion)


def interval_text(rate: Rate) -> str:
    """The 95 % interval and what was counted.

    >>> from copperline.quality import defect_rate, dpu, escape_rate
    >>> interval_text(defect_rate(3, 200)), interval_text(dpu(30, 20))
    ('3 of 200; 95 %: 0.51 - 4.32 %', '30 on 20; 95 %: 1.01 - 2.14')
    >>> interval_text(escape_rate(0, None))
    '0 counted, of how many is not known'
    """
    if rate.denominator is None:
        return f"{rate.numerator:,} counted, of how many is not known"
    counted = f"{rate.numerator:,} {'of' if rate.proportion else 'on'} {rate.denominator:,}"
    return counted if rate.interval is None else f"{counted}; 95 %: {_range(rate.interval, rate.proportion)}"


def figures_row() -> DeltaGenerator:
    """A row for figures of FIGURE_WIDTH: as many side by side as the window has room for."""
    return st.container(horizontal=True)


def metric(
    label: str,
    change: Change,
    formula: str,
    statements: Sequence[str],
    *,
    good: str | None,
    key: str,
    width: Width = "stretch",
) -> None:
    """One figure in a frame: value, change against the previous period, interval, denominator, and its info button.

    Args:
        label: the figure's name in `quality-terms`.
        change: the figure now and in the previous period.
        formula: in words, with the unit.
        statements: the SQL of its counts.
        good: `up` or `down`, what is better; None: neither. A change that chance explains is neither.
        key: of the info button, unique on the page.
        width: of the frame, px.
    """
    rate = change.current
    figure(
        label,
        None if rate.value is None else value_text(rate),
        f"{formula}\n\nUnit: {rate.unit}.",
        statements,
        note=f"{interval_text(rate)}. {_chance(change)}",
        delta=_delta(change),
        good=good if change.excludes_zero else None,
        key=key,
        width=width,
    )


def figure(
    label: str,
    value: str | None,
    formula: str,
    statements: Sequence[str] = (),
    *,
    key: str,
    note: str | None = None,
    delta: str | None = None,
    good: str | None = None,
    width: Width = "stretch",
) -> None:
    """A frame with a label, its info button and a large value; None: not measured.

    Args:
        formula, statements: as in `explain`.
        key: of the info button, unique on the page.
        note: a small line below, Markdown.
        delta: change against before.
        good: `up` or `down`, which of the two is better; None: neither.
        width: of the frame, px.
    """
    with st.container(border=True, width=width, height="stretch", gap="small", key=f"figure-{key}"):
        _with_button(lambda: st.markdown(label), formula, statements, key)
        if value is None:
            # In the size of a figure these words would be cut off.
            st.markdown(f"#### {NOT_MEASURED}")
        else:
            colour: Any = {"up": "normal", "down": "inverse"}.get(good or "", "off")
            arrow: Any = "auto" if delta and any(digit in "123456789" for digit in delta) else "off"
            st.metric(label, value, delta, delta_color=colour, delta_arrow=arrow, label_visibility="collapsed")
        if note is not None:
            st.caption(note)


def chart(drawn: go.Figure, *, key: str) -> None:
    """A chart to look at: without Plotly's row of buttons, which hides what is below it."""
    st.plotly_chart(readable(drawn), theme=None, key=key, config={"displayModeBar": False})


def readable(drawn: go.Figure) -> go.Figure:
    """The same figure in the page's colours, for `st.plotly_chart(..., theme=None)`: Streamlit's own text is pale."""
    return drawn.update_layout(template=theme.plotly_template())


def footnote(text: str, formula: str, statements: Sequence[str] = (), *, key: str) -> None:
    """A line below a figure or a chart, with its info button."""
    _with_button(lambda: st.caption(text), formula, statements, key)


def explain(formula: str, statements: Sequence[str] = (), *, key: str) -> None:
    """The info button: formula, and the queries that count it.

    Args:
        formula: Markdown.
        statements: SQL without parameters left open; `copperline sql` runs them.
        key: unique on the page.
    """
    with st.popover(":material/info:", key=f"how-{key}", type="tertiary", help="Formula and query"):
        st.markdown(formula)
        for statement in statements:
            st.code(statement, language="sql", wrap_lines=True)
        if statements:
            st.caption("The query of these counts; `copperline sql` runs it.")


def number_text(value: float, *, proportion: bool) -> str:
    """A figure as people read it: a proportion in per cent."""
    if proportion:
        return f"{PERCENT * value:.2f} %"
    return f"{value:,.0f}" if abs(value) >= PERCENT else f"{value:.3g}"


def _with_button(words: Callable[[], object], formula: str, statements: Sequence[str], key: str) -> None:
    """Text, and its info button at the right edge however narrow the page is."""
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap=None):
        with st.container():
            words()
        explain(formula, statements, key=key)


def _range(interval: Interval, proportion: bool) -> str:
    low, high = interval
    if proportion:
        return f"{PERCENT * low:.2f} - {PERCENT * high:.2f} %"
    return f"{number_text(low, proportion=False)} - {number_text(high, proportion=False)}"


def _delta(change: Change) -> str | None:
    if change.difference is None:
        return None
    points = " pp" if change.current.proportion else ""
    return f"{change.difference:+.2f}{points}" if change.current.proportion else f"{change.difference:+,.3g}"


def _chance(change: Change) -> str:
    if change.difference is None:
        return "No change measured."
    return "Changed more than chance explains." if change.excludes_zero else "The change may be chance."
