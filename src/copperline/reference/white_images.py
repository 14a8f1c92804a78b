"""White images on the stage: what recipes name by SHA-256 to take uneven light out."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from copperline.data.images import Image, decode_image, to_grey
from copperline.errors import DataError
from copperline.files import read_whole
from copperline.reference.conditioning import Recipe
from copperline.reference.light import require_white
from copperline.stage import Stage

_MOST_BYTES = 256 * 2**20


class WhiteImages:
    """White images by their hash, decoded once. Safe to use from several threads."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._lock = threading.Lock()
        self._images: OrderedDict[str, Image] = OrderedDict()

    def add(self, data: bytes, where: str = "white image") -> str:
        """Keeps the bytes of an image file on the stage; gives the SHA-256 for a recipe. Raises DataError."""
        require_white(to_grey(decode_image(data, where, bare_ok=True)))
        return self._stage.put(data).sha256

    def of(self, recipe: Recipe) -> Image | None:
        """The image that the recipe names, as it is stored; None if it names none.

        Raises:
            DataError: the stage does not have it, or has another file in its place.
        """
        sha256 = recipe.white_image
        if sha256 is None:
            return None
        with self._lock:
            if sha256 in self._images:
                self._images.move_to_end(sha256)
                return self._images[sha256]
        image = self._read(sha256)
        with self._lock:
            self._images[sha256] = image
            while len(self._images) > 1 and sum(i.nbytes for i in self._images.values()) > _MOST_BYTES:
                self._images.popitem(last=False)
        return image

    def _read(self, sha256: str) -> Image:
        paths = sorted((self._stage.folder / sha256[:2]).glob(f"{sha256}.*"))
        if not paths:
            raise DataError(
                f"expected the white image {sha256[:12]} of the recipe on the stage, found none",
                where=self._stage.folder,
                fix="add the reference again with --white-image",
            )
        data = read_whole(paths[0])
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DataError(
                "expected the white image as it was added, found other content",
                where=paths[0],
                fix="add the reference again with --white-image",
            )
        return decode_image(data, paths[0], bare_ok=True)
