"""The classes' colours are told apart by people with every kind of colour vision."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from copperline.taxonomy import DEEPPCB

# What the lacking cone does to linear RGB at severity 1. Machado, Oliveira and Fernandes 2009: "A physiologically-based
# model for simulation of color vision deficiency", IEEE Transactions on Visualization and Computer Graphics 15, 1291-8.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# Linear sRGB to CIE XYZ (IEC 61966-2-1, D65).
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# CIEDE2000: about 1 can just be seen side by side; 10 is plain at a glance. Six colours in the band of brightness that
# contrasts with white and with black cannot be much further apart: a search of all of it reached 19.
LEAST_DIFFERENCE = 16.0


def linear(colour: str) -> np.ndarray:
    """`#rrggbb` as linear RGB, 0 to 1."""
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Linear RGB as CIE L*a*b*."""
    ratio = TO_XYZ @ rgb / TO_XYZ.sum(axis=1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(first: np.ndarray, second: np.ndarray) -> float:
    """The difference of two CIE L*a*b* colours: CIE 142-2001."""
    chroma = (np.hypot(*first[1:]) + np.hypot(*second[1:])) / 2
    stretch = 1 + (1 - np.sqrt(chroma**7 / (chroma**7 + 25.0**7))) / 2
    (l1, c1, h1), (l2, c2, h2) = (
        (v[0], np.hypot(v[1] * stretch, v[2]), np.degrees(np.arctan2(v[2], v[1] * stretch)) % 360)
        for v in (first, second)
    )
    turn = (h2 - h1 + 180) % 360 - 180 if c1 * c2 > 0 else 0.0
    lightness, chroma, hue = (l1 + l2) / 2, (c1 + c2) / 2, h1 + turn / 2
    cosines = np.cos(np.radians([hue - 30, 2 * hue, 3 * hue + 6, 4 * hue - 63]))
    t = 1 + cosines @ [-0.17, 0.24, 0.32, -0.20]
    dl = (l2 - l1) / (1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t)
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    rotation *= np.sin(np.radians(60 * np.exp(-((((hue % 360) - 275) / 25) ** 2))))
    return float(np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh))


def seen(colour: str, vision: str) -> np.ndarray:
    return lab(np.clip(VISION[vision] @ linear(colour), 0, 1))


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        # Sharma, Wu and Dalal 2005, Color Research and Application 30, 21-30, table 1, pairs 1, 9, 14, 17, 23, 25, 34.
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
        ((50.0, -0.001, 2.49), (50.0, 0.0011, -2.49), 4.7461),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((50.0, 2.5, 0.0), (50.0, 1.8634, 0.5757), 1.0),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_measure_gives_the_published_differences(
    first: tuple[float, ...], second: tuple[float, ...], difference: float
) -> None:
    assert ciede2000(np.array(first), np.array(second)) == pytest.approx(difference, abs=1e-4)


@pytest.mark.parametrize("vision", VISION)
def test_every_two_classes_are_told_apart(vision: str) -> None:
    differences = {
        (a.name, b.name): ciede2000(seen(a.colour, vision), seen(b.colour, vision)) for a, b in combinations(DEEPPCB, 2)
    }
    assert {pair: found for pair, found in differences.items() if found < LEAST_DIFFERENCE} == {}


def test_a_palette_for_normal_vision_alone_would_not_pass() -> None:
    green, amber = "#3cb44b", "#f58231"
    assert ciede2000(seen(green, "normal"), seen(amber, "normal")) > 2 * LEAST_DIFFERENCE
    assert ciede2000(seen(green, "protanopia"), seen(amber, "protanopia")) < LEAST_DIFFERENCE / 2
