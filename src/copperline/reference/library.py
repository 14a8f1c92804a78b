"""The golden library: known-good images, found by board or by product."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from copperline.data.images import IMAGE_SUFFIXES, Image, read_image, write_image
from copperline.errors import DataError

Golden = TypeVar("Golden")


def reference_named(golden: Mapping[str, Golden], board_id: str) -> Golden | None:
    """What the golden images, by their names without suffix, have for a board or its product, see `GoldenLibrary`.

    >>> reference_named({"AX7": 1, "AX7-2": 2}, "AX7-2-0001"), reference_named({"AX": 1}, "AX7-0001")
    (2, None)
    """
    for end in range(len(board_id), 0, -1):
        if end == len(board_id) or board_id[end] in "-_":
            found = golden.get(board_id[:end])
            if found is not None:
                return found
    return None


def named_once(images: Iterable[tuple[str, Golden, Path | str]]) -> dict[str, Golden]:
    """Golden images by their names, given as (name without suffix, image, where it lies).

    Raises DataError if two have the same name.
    """
    named: dict[str, Golden] = {}
    places: dict[str, Path | str] = {}
    for name, image, place in images:
        if name in named:
            raise DataError(
                f"expected one reference for {name!r}, found {places[name]} too", where=place, fix="keep one of them"
            )
        named[name], places[name] = image, place
    return named


class GoldenLibrary:
    """A folder of reference images, each named for the board id or the product that it is golden for.

    The reference of `board_id` is the file of that name; without one, of the product whose name `board_id` begins
    with, up to a `-` or `_`: `AX7-000123` is compared with `AX7.png`. The longest such name wins. The files may lie
    in subfolders.

    Args:
        folder: is made by the first `add`; a folder that does not exist is an empty library.

    Raises:
        DataError: two files have the same name without their suffix.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        images = (
            path
            for path in sorted(self.folder.rglob("*"))
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
        )
        self._paths = named_once((path.stem, path, path) for path in images)

    def __len__(self) -> int:
        return len(self._paths)

    def find(self, board_id: str) -> Path | None:
        """The reference for `board_id`, or None if the library has neither the board nor its product."""
        return reference_named(self._paths, board_id)

    def add(self, name: str, image: Path) -> Path:
        """Copies `image` into the library as the reference for the board or product `name`; gives the new path.

        Raises:
            DataError: the library has one already, `name` is no file name, or `image` is not a usable image.
        """
        if not name or Path(name).name != name or name.startswith("."):
            raise DataError(
                f"expected a board id or product name, found {name!r}",
                where=self.folder,
                fix="use a name without slashes or a leading dot",
            )
        if name in self._paths:
            raise DataError(
                f"expected no reference for {name!r} yet, found one",
                where=self._paths[name],
                fix="remove it first, if the new one is to replace it",
            )
        golden: Image = read_image(image)
        self.folder.mkdir(parents=True, exist_ok=True)
        # PNG loses nothing, whatever the image was stored in before.
        path = self.folder / f"{name}.png"
        write_image(path, golden)
        self._paths[name] = path
        return path
