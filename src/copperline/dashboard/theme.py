"""The theme's colours for what Streamlit does not colour by itself, such as text in a Plotly figure."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import streamlit as st

FILE = Path(__file__).with_name("theme.toml")


def colour(name: str) -> str:
    """`#rrggbb` of `textColor`, `primaryColor`, ... in the theme that this visitor sees."""
    return _theme()[st.context.theme.type or "light"][name]


@cache
def _theme() -> dict[str, dict[str, str]]:
    theme: dict[str, dict[str, str]] = tomllib.loads(FILE.read_text(encoding="utf-8"))["theme"]
    return theme
