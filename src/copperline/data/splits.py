"""Training and validation, split by board group: the same today, tomorrow and on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from copperline.errors import SettingsError

# Mixed into every hash. With this salt DeepPCB's seven trainval groups give 44000 and 77000 to validation: 150 of
# 1,000 boards, the 15 % asked for, from two products. It was chosen for that size alone, before any training.
SALT = "copperline-40"


def assign_splits(groups: Sequence[str], val_fraction: float = 0.15) -> dict[str, Literal["train", "val"]]:
    """Gives each group, whole, to `train` or `val`.

    A group goes to val when SHA-256 of its name, read as a fraction of the largest value, is below `val_fraction`.
    So the result depends neither on the order nor on the run, and adding a group leaves the others where they are,
    except where a split would be empty: then, of two or more groups, the one with the lowest hash goes to val, or
    the one with the highest to train. A single group goes to train.

    Args:
        groups: names; repeats are allowed.
        val_fraction: expected share of groups in val, above 0 and below 1.

    >>> assign_splits(["group77000", "group92000", "group13000"])
    {'group77000': 'val', 'group92000': 'train', 'group13000': 'train'}
    """
    if not 0 < val_fraction < 1:
        raise SettingsError(
            f"expected a validation fraction above 0 and below 1, found {val_fraction}", fix="give for example 0.15"
        )
    positions = {group: _position(group) for group in groups}
    val = {group for group, position in positions.items() if position < val_fraction}
    if len(positions) > 1:
        by_position = sorted(positions, key=lambda group: (positions[group], group))
        val = (val or {by_position[0]}) - ({by_position[-1]} if len(val) == len(positions) else set())
    elif positions:
        val = set()
    return {group: "val" if group in val else "train" for group in positions}


def split_boards(
    boards: Sequence[tuple[str, str]], val_fraction: float = 0.15
) -> tuple[list[Literal["train", "val"]], bool]:
    """The split of each board, given its id and its group; and whether it was split off by board.

    By group if there are several, see `assign_splits`; if all boards are of one group, there is nothing else to split
    by than the board.

    >>> split_boards([("a1", "a"), ("a2", "a"), ("b1", "b")])
    (['train', 'train', 'val'], False)
    >>> split_boards([("a1", "a"), ("a2", "a")])
    (['val', 'train'], True)
    """
    by_board = len({group for _, group in boards}) < 2
    keys = [board_id if by_board else group for board_id, group in boards]
    split_of = assign_splits(keys, val_fraction)
    return [split_of[key] for key in keys], by_board and bool(boards)


def _position(group: str) -> float:
    """Where the group lies in [0, 1)."""
    digest = hashlib.sha256(f"{SALT}/{group}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
