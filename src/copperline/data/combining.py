"""Several data sets as one, such as what a model was trained on and what people have reviewed since."""

from __future__ import annotations

from collections.abc import Sequence

from copperline.data.pairs import BoardDataset, BoardPair
from copperline.errors import DataError


def combined(datasets: Sequence[BoardDataset]) -> tuple[BoardDataset, tuple[str, ...]]:
    """All boards, in the order given, with `parts` saying which data set each is of.

    A board, or a board group, that one data set trains on and another validates on is left out of training: what it
    is measured on must not be learned.

    Args:
        datasets: at least one; a single one is given back as it is.

    Returns:
        The data set, and a line for each of those with boards that were left out.

    Raises:
        DataError: they have other classes, or one of them has no board to train on.
    """
    first, *others = datasets
    if not others:
        return first, ()
    for other in others:
        if other.taxonomy.names != first.taxonomy.names:
            raise DataError(
                f"expected the classes of {first.name}, {', '.join(first.taxonomy.names)}; {other.name} has "
                f"{', '.join(other.taxonomy.names)}",
                where=other.source,
                fix="train on data sets with the same classes in the same order",
            )
    held_out = {name for pair in _all(datasets) if pair.split != "train" for name in (pair.board_id, pair.board_group)}
    pairs: list[BoardPair] = []
    parts: list[int] = []
    notes: list[str] = []
    for number, dataset in enumerate(datasets):
        kept = [p for p in dataset if p.split != "train" or held_out.isdisjoint((p.board_id, p.board_group))]
        if len(kept) < len(dataset):
            notes.append(f"{len(dataset) - len(kept)} boards of {dataset.name} are left out of training: validated on")
        if not any(pair.split == "train" for pair in kept):
            raise DataError(
                "expected boards to train on in each data set, found none here",
                where=dataset.source,
                fix="leave this data set out, or split it anew",
            )
        pairs += kept
        parts += [number] * len(kept)
    together = BoardDataset(
        name=" + ".join(dataset.name for dataset in datasets),
        source="; ".join(dataset.source for dataset in datasets),
        pairs=tuple(pairs),
        taxonomy=first.taxonomy,
        parts=tuple(parts),
    )
    return together, tuple(notes)


def _all(datasets: Sequence[BoardDataset]) -> list[BoardPair]:
    return [pair for dataset in datasets for pair in dataset]
