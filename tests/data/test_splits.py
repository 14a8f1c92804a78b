from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.data.splits import assign_splits
from copperline.errors import SettingsError

DEEPPCB_TRAINVAL = {
    "group00041": 200,
    "group13000": 198,
    "group20085": 291,
    "group44000": 50,
    "group50600": 50,
    "group77000": 100,
    "group92000": 111,
}
names = st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=30, unique=True)


def test_deeppcb_validation_is_15_per_cent_from_two_groups() -> None:
    splits = assign_splits(list(DEEPPCB_TRAINVAL))
    val = [group for group, split in splits.items() if split == "val"]
    assert val == ["group44000", "group77000"]
    assert sum(DEEPPCB_TRAINVAL[group] for group in val) == 150


@settings(max_examples=50, deadline=None, derandomize=True)
@given(names, st.randoms(use_true_random=False), st.floats(0.05, 0.95))
def test_neither_order_nor_repeats_matter(groups: list[str], random: object, fraction: float) -> None:
    shuffled = groups + groups[:1]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert assign_splits(shuffled, fraction) == assign_splits(groups, fraction)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(names, st.floats(0.001, 0.999))
def test_of_two_or_more_groups_neither_split_is_empty(groups: list[str], fraction: float) -> None:
    assert set(assign_splits(groups, fraction).values()) == {"train", "val"}


def test_added_groups_leave_the_others_where_they_are() -> None:
    before = assign_splits([f"g{i}" for i in range(50)])
    after = assign_splits([f"g{i}" for i in range(100)])
    assert before.items() <= after.items()


def test_the_share_is_about_the_one_asked_for() -> None:
    splits = assign_splits([f"g{i}" for i in range(2000)], 0.25)
    assert 0.22 < list(splits.values()).count("val") / 2000 < 0.28


def test_a_single_group_is_for_training() -> None:
    assert assign_splits(["only"]) == {"only": "train"}
    assert assign_splits([]) == {}


def test_another_process_with_another_hash_seed_agrees() -> None:
    program = "from copperline.data.splits import assign_splits; print(assign_splits([f'g{i}' for i in range(20)]))"
    result = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONHASHSEED": "12345"}, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == str(assign_splits([f"g{i}" for i in range(20)]))


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_a_fraction_that_leaves_no_split_is_refused(fraction: float) -> None:
    with pytest.raises(SettingsError, match="above 0 and below 1"):
        assign_splits(["a", "b"], fraction)
