"""The theme's colours for what Streamlit does not colour by itself, such as text in a Plotly figure."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import plotly.graph_objects as go
import plotly.io as pio
import streamlit as st

FILE = Path(__file__).with_name("theme.toml")


def colour(name: str) -> str:
    """`#rrggbb` of `textColor`, `primaryColor`, ... in the theme that this visitor sees."""
    return _theme()[st.context.theme.type or "light"][name]


def plotly_template() -> str:
    """Name of the template for Plotly in the colours of the theme that this visitor sees.

    One template for all charts: to set each axis of each chart takes as long as to draw it.
    """
    return _template(st.context.theme.type or "light")


@cache
def _template(kind: str) -> str:
    colours, name = _theme()[kind], f"copperline-{kind}"
    text, line = colours["textColor"], colours["borderColor"]
    axis = {
        "gridcolor": line,
        "linecolor": line,
        "zerolinecolor": line,
        "tickfont": {"color": text},
        "title": {"font": {"color": text}},
        "automargin": True,
    }
    pio.templates[name] = go.layout.Template(
        layout={
            "font": {"color": text},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hoverlabel": {"bgcolor": colours["secondaryBackgroundColor"], "font": {"color": text}},
            "legend": {"font": {"color": text}},
            "xaxis": axis,
            "yaxis": axis,
        }
    )
    return name


@cache
def _theme() -> dict[str, dict[str, str]]:
    theme: dict[str, dict[str, str]] = tomllib.loads(FILE.read_text(encoding="utf-8"))["theme"]
    return theme
