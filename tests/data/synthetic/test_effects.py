from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from copperline.data.synthetic.effects import SPECK, effect_of_copper, effect_of_etching

Mask = npt.NDArray[np.uint8]


def blank() -> Mask:
    return np.zeros((60, 60), np.uint8)


def two_traces() -> Mask:
    """Horizontal traces in rows 10-19 and 35-44."""
    copper = blank()
    copper[10:20] = copper[35:45] = 1
    return copper


def patch(rows: slice, columns: slice) -> Mask:
    mask = blank()
    mask[rows, columns] = 1
    return mask


@pytest.mark.parametrize(
    ("added", "name"),
    [
        (patch(slice(24, 30), slice(20, 26)), "copper"),
        (patch(slice(20, 28), slice(20, 26)), "spur"),
        (patch(slice(20, 35), slice(20, 26)), "short"),
        (blank(), None),
    ],
)
def test_added_copper_is_named_by_what_it_touches(added: Mask, name: str | None) -> None:
    assert effect_of_copper(two_traces(), added) == name


def test_a_diagonal_neighbour_is_touched() -> None:
    copper = patch(slice(10, 20), slice(10, 20))
    assert effect_of_copper(copper, patch(slice(20, 26), slice(20, 26))) == "spur"
    assert effect_of_copper(copper, patch(slice(21, 26), slice(21, 26))) == "copper"


def test_two_arms_of_one_trace_are_shorted() -> None:
    copper = two_traces()
    copper[10:45, :6] = 1
    assert effect_of_copper(copper, patch(slice(20, 35), slice(30, 36))) == "short"
    assert effect_of_copper(copper, patch(slice(20, 32), slice(30, 36))) == "spur"


@pytest.mark.parametrize(
    ("removed", "name"),
    [
        (patch(slice(13, 17), slice(20, 26)), "pin-hole"),
        (patch(slice(10, 16), slice(20, 26)), "mousebite"),
        (patch(slice(10, 20), slice(20, 26)), "open"),
        (blank(), None),
    ],
)
def test_taken_copper_is_named_by_what_is_left(removed: Mask, name: str | None) -> None:
    assert effect_of_etching(two_traces(), removed) == name


def test_flecks_within_the_stroke_are_no_ends_of_a_cut() -> None:
    bite = patch(slice(10, 18), slice(20, 40))
    for size, name in ((4, "mousebite"), (6, "open")):
        ragged = bite.copy()
        ragged[11 : 11 + size, 25 : 25 + size] = 0
        assert (size * size >= SPECK) == (name == "open")
        assert effect_of_etching(two_traces(), ragged) == name
