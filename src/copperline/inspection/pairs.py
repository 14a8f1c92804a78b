"""Which boards there are: test images in a folder or below a URL, each with its reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePath
from typing import Protocol

from copperline.data.images import IMAGE_SUFFIXES
from copperline.errors import DataError
from copperline.inspection.inspect import board_id_of
from copperline.reference import GoldenLibrary, named_once, reference_named
from copperline.stage import Location, StageFile, list_files, name_of


class Inspectable(Protocol):
    """A board that can be read: `BoardPair` of a data set, or `ImagePair` of a folder or URL."""

    @property
    def board_id(self) -> str: ...

    @property
    def test_path(self) -> Location: ...

    @property
    def reference_path(self) -> Location | None: ...


@dataclass(frozen=True, slots=True)
class ImagePair:
    """A test image with its reference, if there is one; nothing is known of its defects.

    Attributes:
        changed_at: when the later of the two files last changed, see `StageFile`; None: not known.
        size: of the test image's file, bytes; 0: not known.
    """

    board_id: str
    test_path: Location
    reference_path: Location | None
    changed_at: datetime | None = field(default=None, compare=False)
    size: int = field(default=0, compare=False)


def pairs_in_folder(folder: Path, references: GoldenLibrary | None = None) -> tuple[ImagePair, ...]:
    """As `pairs_in`, for a folder and a library."""
    return pairs_in(Path(folder), None if references is None else references.folder)


def pairs_in(place: Location, references: Location | None = None) -> tuple[ImagePair, ...]:
    """The boards in a folder or below a URL, and in its subfolders, by path.

    `ID_test.jpg` is compared with `ID_temp.jpg` beside it (any image suffix); another image, or one without such a
    neighbour, with the golden image for its board in `references`, a folder or URL, see `GoldenLibrary`. Without
    `references` it is judged by itself.

    Raises:
        DataError: a place does not exist, `place` has no image, or two golden images have the same name.
        StageError: a place cannot be read.
    """
    images = list_files(place, IMAGE_SUFFIXES)
    golden = None if references is None else _golden(list_files(references, IMAGE_SUFFIXES))
    by_stem = {_without_suffix(image.location): image for image in images}
    pairs = []
    for image in images:
        stem = _without_suffix(image.location)
        if stem.endswith("_temp"):
            continue
        board_id = board_id_of(image.location)
        reference = by_stem.get(f"{stem.removesuffix('_test')}_temp") if stem.endswith("_test") else None
        if reference is None and references is not None and golden is not None:
            # Whoever gives golden images wants boards compared: one without is to be reported as that file missing,
            # and not to be judged by itself in silence.
            reference = reference_named(golden, board_id) or _nowhere(references, board_id)
        pairs.append(_pair(board_id, image, reference))
    if not pairs:
        raise DataError(
            "expected a folder with board images, found none",
            where=place,
            fix="check the path; test images are named ID.png, or ID_test.jpg beside ID_temp.jpg",
        )
    return tuple(pairs)


def _pair(board_id: str, image: StageFile, reference: StageFile | None) -> ImagePair:
    changes = [file.changed_at for file in (image, reference) if file is not None]
    known = [moment for moment in changes if moment is not None]
    changed_at = max(known) if len(known) == len(changes) else None
    return ImagePair(
        board_id, image.location, None if reference is None else reference.location, changed_at, image.size
    )


def _golden(files: Iterable[StageFile]) -> dict[str, StageFile]:
    return named_once((PurePath(name_of(file.location)).stem, file, file.location) for file in files)


def _nowhere(references: Location, board_id: str) -> StageFile:
    name = f"{board_id}.png"
    return StageFile(references / name if isinstance(references, Path) else f"{references}/{name}", 0, None)


def _without_suffix(location: Location) -> str:
    """As text, for a path too, so that `Path` need not be taken apart for each of a million files."""
    return str(location).rpartition(".")[0]
