"""Whether any two splits share what they must not: boards, images, board groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from copperline.data.images import sha256_of
from copperline.data.pairs import SPLITS, BoardDataset, BoardPair, Split


@dataclass(frozen=True, slots=True)
class SharedBetween:
    """What two splits have in common.

    Attributes:
        first, second: the splits.
        boards: ids of boards that are in both. Any is a leak.
        images: ids of boards of `second` whose test image, byte for byte, is one of `first` too. Any is a leak.
        groups: board groups that have boards in both. Between train and val any is a leak, for they are split by group;
            a data set's own test list may have other boards of products that were trained on.
    """

    first: Split
    second: Split
    boards: tuple[str, ...]
    images: tuple[str, ...]
    groups: tuple[str, ...]

    @property
    def leaks(self) -> bool:
        """Whether figures on one of the two splits are worth nothing after training on the other."""
        return bool(self.boards or self.images or (self.groups and self.second == "val"))


def shared_between_splits(dataset: BoardDataset) -> list[SharedBetween]:
    """Compares each two splits that have boards, in the order of train, val, test; reads every test image once.

    Raises:
        DataError: an image cannot be read.
    """
    hash_of = {pair.test_path: sha256_of(pair.test_path) for pair in dataset}
    by_split = {split: [pair for pair in dataset if pair.split == split] for split in SPLITS}
    present = [split for split in SPLITS if by_split[split]]
    return [
        SharedBetween(
            first,
            second,
            boards=_common(by_split[first], by_split[second], lambda pair: pair.board_id),
            images=_copies(by_split[second], of=by_split[first], hash_of=hash_of),
            groups=_common(by_split[first], by_split[second], lambda pair: pair.board_group),
        )
        for first, second in combinations(present, 2)
    ]


def _common(first: Iterable[BoardPair], second: Iterable[BoardPair], of: Callable[[BoardPair], str]) -> tuple[str, ...]:
    return tuple(sorted(set(map(of, first)) & set(map(of, second))))


def _copies(pairs: Iterable[BoardPair], *, of: Iterable[BoardPair], hash_of: Mapping[Path, str]) -> tuple[str, ...]:
    known = {hash_of[pair.test_path] for pair in of}
    return tuple(sorted(pair.board_id for pair in pairs if hash_of[pair.test_path] in known))
