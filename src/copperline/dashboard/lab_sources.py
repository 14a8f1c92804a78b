"""Where Vision Lab's images come from: uploads, boards of data sets, boards inspected lately, synthetic boards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from copperline.data import BoardPair
from copperline.data.images import Image, decode_image, require_same_size
from copperline.data.synthetic import synthetic_pair
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.inspection.inspect import ImageFile, board_id_of
from copperline.reference import Recipe, condition
from copperline.stage import Location, location_of, read_bytes
from copperline.taxonomy import DEEPPCB, Taxonomy
from copperline.warehouse import BoardRow

NO_CONDITIONING = Recipe()


@dataclass(frozen=True, eq=False, slots=True)
class Truth:
    """The labels of a test image, in its pixels, and what their class ids mean."""

    labels: Detections
    taxonomy: Taxonomy


@dataclass(frozen=True, eq=False, slots=True)
class LabBoard:
    """Images that are read and checked, ready for a detector.

    Attributes:
        board_id: as an inspection would name the board.
        test, reference: (H, W) uint8 grey, of one size; the reference is not registered yet.
        truth: None where nothing is known.
    """

    board_id: str
    test: ImageFile
    reference: ImageFile | None
    truth: Truth | None


@dataclass(frozen=True, slots=True)
class LabSource:
    """Images that can be read when they are needed.

    Attributes:
        key: the same for the same images.
        name: for people; a file's name is not to be trusted with markup.
        load: reads and checks them; raises DataError.
    """

    key: tuple[object, ...]
    name: str
    load: Callable[[], LabBoard]


def upload_source(
    key: tuple[object, ...], test: tuple[str, Callable[[], bytes]], reference: tuple[str, Callable[[], bytes]] | None
) -> LabSource:
    """A test image, or a pair, that a visitor sent.

    Args:
        key: of these uploads.
        test, reference: file name and what gives the file's bytes.
    """

    def load() -> LabBoard:
        image = _decoded(test[1](), Path(test[0]))
        golden = None if reference is None else _decoded(reference[1](), Path(reference[0]), bare_ok=True)
        return _board(board_id_of(image.path), image, golden, None)

    return LabSource(("upload", *key), test[0], load)


def stage_source(pair: BoardPair, taxonomy: Taxonomy) -> LabSource:
    """A board of a data set, with its ground truth."""
    load = partial(_load_files, pair.board_id, pair.test_path, pair.reference_path, Truth(pair.labels, taxonomy))
    return LabSource(("stage", *_identity(pair.test_path), *_identity(pair.reference_path)), pair.board_id, load)


def inspected_source(row: BoardRow) -> LabSource:
    """A board that was inspected, as its files are now, conditioned as they were; nothing says what is truly wrong."""
    test = location_of(row.image_path)
    reference = None if row.reference_path is None else location_of(row.reference_path)
    load = partial(_load_files, row.board_id, test, reference, None, row.conditioning)
    return LabSource(("inspected", *_identity(test), *_identity(reference), row.conditioning), row.board_id, load)


def synthetic_source(seed: int, size: int, *, defective: bool = True) -> LabSource:
    """A drawn board with the defects that were drawn into it.

    Args:
        seed: 0 or more.
        size: px per side, at least 64.
        defective: False: a good board.
    """
    name = f"synthetic-{seed}-{size}" + ("" if defective else "-good")

    def load() -> LabBoard:
        test, reference, labels = synthetic_pair(seed, size, defective=defective)
        return _board(name, _drawn(f"{name}_test", test), _drawn(f"{name}_temp", reference), Truth(labels, DEEPPCB))

    return LabSource(("synthetic", seed, size, defective), name, load)


def is_gone(row: BoardRow) -> bool:
    """Whether a file of this machine that was inspected is no longer in its place; of a stage, reading it tells."""
    places = (location_of(path) for path in (row.image_path, row.reference_path) if path is not None)
    return any(isinstance(place, Path) and not place.is_file() for place in places)


def _load_files(
    board_id: str, test: Location, reference: Location | None, truth: Truth | None, conditioning: str | None = None
) -> LabBoard:
    recipe = Recipe.from_json(conditioning)
    golden = None if reference is None else _decoded(_bytes_of(reference), reference, recipe, bare_ok=True)
    return _board(board_id, _decoded(_bytes_of(test), test, recipe), golden, truth)


def _bytes_of(location: Location) -> bytes:
    try:
        return read_bytes(location)
    except DataError as error:
        raise DataError(
            error.problem,
            where=location,
            fix="it was moved or deleted since; choose another board, or upload the image",
        ) from error


def _decoded(data: bytes, path: Location, recipe: Recipe = NO_CONDITIONING, *, bare_ok: bool = False) -> ImageFile:
    image = condition(decode_image(data, path, bare_ok=bare_ok), recipe)
    return ImageFile(path, hashlib.sha256(data).hexdigest(), image)


def _drawn(name: str, image: Image) -> ImageFile:
    return ImageFile(Path(name), hashlib.sha256(image.tobytes()).hexdigest(), image)


def _board(board_id: str, test: ImageFile, reference: ImageFile | None, truth: Truth | None) -> LabBoard:
    if reference is not None:
        require_same_size(test.image, reference.image, reference.path)
    return LabBoard(board_id, test, reference, truth)


def _identity(path: Location | None) -> tuple[object, ...]:
    """A file that was changed is another one; of a stage it would take a question over the network to know."""
    if path is None or isinstance(path, str):
        return (path,)
    try:
        found = path.stat()
    except OSError:
        return (str(path), None)  # reading it says what is wrong
    return (str(path), found.st_mtime_ns, found.st_size)
