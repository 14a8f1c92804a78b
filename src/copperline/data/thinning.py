"""Fewer boards of a data set, for a short run: the same ones each time, of every split and every group."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from copperline.data.pairs import SPLITS, BoardDataset, Split
from copperline.errors import SettingsError


def thinned(dataset: BoardDataset, boards: int) -> BoardDataset:
    """About `boards` boards, in the proportion of the splits: of each group as many as of the others, its first ones.

    Each split keeps at least one board. A data set that is not larger is given back as it is.

    Raises:
        SettingsError: fewer than one board is asked for.
    """
    if boards < 1:
        raise SettingsError(f"expected a number of boards of at least 1, found {boards}", fix="ask for more boards")
    if len(dataset) <= boards:
        return dataset
    kept = sorted(index for split in SPLITS for index in _first_of_each_group(dataset, split, boards))
    return replace(
        dataset,
        pairs=tuple(dataset.pairs[index] for index in kept),
        parts=tuple(dataset.parts[index] for index in kept) if dataset.parts else (),
    )


def _first_of_each_group(dataset: BoardDataset, split: Split, boards: int) -> list[int]:
    """Indices of the split's share of `boards`: the first board of each group, then the second of each, and so on."""
    seen: Counter[str] = Counter()
    ranked = []
    for index, pair in enumerate(dataset.pairs):
        if pair.split == split:
            seen[pair.board_group] += 1
            ranked.append((seen[pair.board_group], index))
    wanted = max(1, round(boards * len(ranked) / len(dataset)))
    return [index for _, index in sorted(ranked)[:wanted]]
