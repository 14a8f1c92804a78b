"""What an import took, what it left, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from copperline.data.pairs import SPLITS, BoardDataset, BoardPair


class SkippedBoard(BaseModel):
    """A board that was not imported.

    Attributes:
        board: its id, or the list's line where it has none.
        reason: one line that names the file, what was expected and what was found.
    """

    model_config = ConfigDict(frozen=True)

    board: str
    reason: str


class ImportReport(BaseModel):
    """The account of one import. Each listed board is accepted, skipped or named under `duplicates`.

    Attributes:
        source: path of the data.
        accepted: boards imported, in all splits.
        skipped: boards left out, with their reasons.
        boards_without_defects: accepted boards whose test image has no label.
        boards_without_reference: accepted boards without a reference.
        duplicates: one line for each board or image that came twice, and what was done.
        boxes_clipped: labelled boxes that reached over the image's border and were cut to it.
        boards: accepted boards per split.
        groups: names of the board groups per split.
        class_counts: labelled defects per split and class name. References have no labels, so none are counted.
        notes: anything else that a person should know.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    accepted: int
    skipped: tuple[SkippedBoard, ...] = ()
    boards_without_defects: int = 0
    boards_without_reference: int = 0
    duplicates: tuple[str, ...] = ()
    boxes_clipped: int = 0
    boards: dict[str, int] = {}
    groups: dict[str, tuple[str, ...]] = {}
    class_counts: dict[str, dict[str, int]] = {}
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        dataset: BoardDataset,
        *,
        skipped: Sequence[SkippedBoard] = (),
        duplicates: Sequence[str] = (),
        boxes_clipped: int = 0,
        notes: Sequence[str] = (),
    ) -> ImportReport:
        """Counts the accepted boards of `dataset`; the rest is what only the reader knows."""
        by_split = {split: [p for p in dataset if p.split == split] for split in SPLITS}
        present = {split: pairs for split, pairs in by_split.items() if pairs}
        return cls(
            source=dataset.source,
            accepted=len(dataset),
            skipped=tuple(skipped),
            boards_without_defects=sum(len(p.labels) == 0 for p in dataset),
            boards_without_reference=sum(p.reference_path is None for p in dataset),
            duplicates=tuple(duplicates),
            boxes_clipped=boxes_clipped,
            boards={split: len(pairs) for split, pairs in present.items()},
            groups={split: tuple(sorted({p.board_group for p in pairs})) for split, pairs in present.items()},
            class_counts={split: _class_counts(pairs, dataset.taxonomy.names) for split, pairs in present.items()},
            notes=tuple(notes),
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return self.model_dump(mode="json")

    def lines(self, most: int = 20) -> list[str]:
        """For people; of skipped boards and duplicates at most `most` are listed, the rest is counted."""
        lines = [f"{self.accepted} boards accepted, {len(self.skipped)} skipped, from {self.source}"]
        for split, boards in self.boards.items():
            counts = ", ".join(f"{name} {count}" for name, count in self.class_counts[split].items())
            groups = self.groups[split]
            named = f" ({', '.join(groups)})" if len(groups) <= 12 else ""
            lines.append(f"{split}: {boards} boards; groups: {len(groups)}{named}; defects: {counts}")
        lines.append(
            f"{self.boards_without_defects} boards without defects, {self.boards_without_reference} without a "
            f"reference, {self.boxes_clipped} boxes cut to the image"
        )
        lines += [f"note: {note}" for note in self.notes]
        lines += _at_most(most, [f"duplicate: {text}" for text in self.duplicates])
        lines += _at_most(most, [f"skipped {s.board}: {s.reason}" for s in self.skipped])
        return lines


def _class_counts(pairs: Sequence[BoardPair], names: Sequence[str]) -> dict[str, int]:
    counts = Counter(int(class_id) for pair in pairs for class_id in pair.labels.class_ids)
    return {name: counts[class_id] for class_id, name in enumerate(names)}


def _at_most(most: int, lines: list[str]) -> list[str]:
    return lines if len(lines) <= most else [*lines[:most], f"... and {len(lines) - most} more"]
