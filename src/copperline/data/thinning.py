"""Fewer boards of a data set, for a short run: the same ones each time, of every split and every group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from copperline.data.pairs import BoardDataset
from copperline.errors import SettingsError


def thinned(dataset: BoardDataset, boards: int) -> BoardDataset:
    """About `boards` boards of a data set, chosen by `thinned_indices`; the same data set if it is not larger.

    Raises:
        SettingsError: fewer than one board is asked for.
    """
    kept = thinned_indices([(pair.split, pair.board_group) for pair in dataset], boards)
    if len(kept) == len(dataset):
        return dataset
    return replace(
        dataset,
        pairs=tuple(dataset.pairs[index] for index in kept),
        parts=tuple(dataset.parts[index] for index in kept) if dataset.parts else (),
    )


def thinned_indices(boards: Sequence[tuple[str, str]], most: int) -> list[int]:
    """Which of the boards to keep, ascending, in the proportion of the splits: each split keeps at least one.

    Of each group as many as of the others, as far as it has them: its first ones.

    Args:
        boards: split and group of each.
        most: about so many are kept.

    Raises:
        SettingsError: fewer than one board is asked for.

    >>> thinned_indices([("train", "a"), ("train", "a"), ("train", "b"), ("test", "b")], 3)
    [0, 2, 3]
    """
    if most < 1:
        raise SettingsError(f"expected a number of boards of at least 1, found {most}", fix="ask for more boards")
    if len(boards) <= most:
        return list(range(len(boards)))
    seen: Counter[tuple[str, str]] = Counter()
    ranked: dict[str, list[tuple[int, int]]] = {}
    for index, (split, group) in enumerate(boards):
        seen[split, group] += 1
        ranked.setdefault(split, []).append((seen[split, group], index))
    kept = [
        index
        for of_split in ranked.values()
        for _, index in sorted(of_split)[: max(1, round(most * len(of_split) / len(boards)))]
    ]
    return sorted(kept)
