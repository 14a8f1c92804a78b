from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copperline.data import SPLITS, BoardDataset, BoardPair
from copperline.data.thinning import thinned, thinned_indices
from copperline.detections import Detections
from copperline.errors import SettingsError

boards = st.lists(st.tuples(st.sampled_from(SPLITS), st.sampled_from("abcd")), max_size=60)


@given(boards, st.integers(1, 70))
def test_splits_keep_their_share_and_groups_are_even(found: list[tuple[str, str]], most: int) -> None:
    kept = thinned_indices(found, most)
    assert kept == sorted(set(kept))
    assert abs(len(kept) - min(most, len(found))) <= 3  # each of three splits is rounded
    for split in {split for split, _ in found}:
        of_split = [found[index] for index in kept if found[index][0] == split]
        assert of_split, "a split was lost"
        here = Counter(group for s, group in found if s == split)
        for group, count in here.items():
            fewest = min(Counter(g for _, g in of_split).get(other, 0) for other in here if here[other] >= count)
            assert Counter(g for _, g in of_split).get(group, 0) <= fewest + 1


@given(boards, st.integers(1, 70))
def test_of_each_group_the_first_boards_are_kept(found: list[tuple[str, str]], most: int) -> None:
    kept = set(thinned_indices(found, most))
    for key in set(found):
        taken = [index in kept for index, each in enumerate(found) if each == key]
        assert taken == sorted(taken, reverse=True)


def test_a_small_data_set_stays_as_it_is() -> None:
    pairs = [BoardPair(str(i), "g", "train", Path(f"{i}.png"), None, Detections.empty(), 64, 64) for i in range(6)]
    dataset = BoardDataset("d", "here", tuple(pairs), parts=(0, 0, 0, 1, 1, 1))
    assert thinned(dataset, 6) is dataset
    fewer = thinned(dataset, 4)
    assert [pair.board_id for pair in fewer] == ["0", "1", "2", "3"]
    assert fewer.parts == (0, 0, 0, 1)


def test_no_boards_at_all_are_refused() -> None:
    with pytest.raises(SettingsError, match="expected a number of boards of at least 1, found 0"):
        thinned_indices([("train", "a")], 0)
