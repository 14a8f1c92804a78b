"""Contrast of the dashboard's colours, after WCAG 2.2."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

import copperline.dashboard
from copperline.taxonomy import DEEPPCB

FILE = Path(copperline.dashboard.__file__).parent / "theme.toml"
THEME = tomllib.loads(FILE.read_text(encoding="utf-8"))["theme"]
BACKGROUNDS = ("backgroundColor", "secondaryBackgroundColor")


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`: 0 black, 1 white."""
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    """1 (the same) to 21 (black and white)."""
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_the_measure() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#777777") == pytest.approx(4.48, abs=0.01)  # known to miss 4.5 just so
    assert contrast("#123456", "#123456") == 1


@pytest.mark.parametrize("kind", ["light", "dark"])
@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize(
    ("colour", "least"),
    [
        ("textColor", 7.0),  # 1.4.6, enhanced
        ("linkColor", 7.0),
        ("primaryColor", 3.0),  # 1.4.11: frames, lines and marks of what is chosen
    ],
)
def test_text_can_be_read(kind: str, background: str, colour: str, least: float) -> None:
    assert contrast(THEME[kind][colour], THEME[kind][background]) >= least


@pytest.mark.parametrize("kind", ["light", "dark"])
def test_text_of_a_primary_button_can_be_read(kind: str) -> None:
    # Streamlit writes on it in white, whatever the theme.
    assert contrast(THEME[kind]["primaryColor"], "#ffffff") >= 4.5


@pytest.mark.parametrize(
    "background", ["#ffffff", "#000000", *(THEME[kind]["backgroundColor"] for kind in ("light", "dark"))]
)
def test_every_class_stands_out_on_a_board_and_on_the_page(background: str) -> None:
    found = {c.name: contrast(c.colour, background) for c in DEEPPCB}
    assert {name: ratio for name, ratio in found.items() if ratio < 3} == {}  # 1.4.11, graphics
