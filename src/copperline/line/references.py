"""The golden references that the line compares with, decoded and conditioned once and kept in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from copperline.data import decode_image
from copperline.data.images import Image
from copperline.errors import DataError
from copperline.files import read_whole
from copperline.reference import Recipe, condition
from copperline.warehouse import ReferenceRecord, current_reference, get_reference, list_references

# A reference that was added or retired counts after this time at the latest.
FRESH_SECONDS = 1.0
_KEPT = 32


@dataclass(frozen=True, eq=False, slots=True)
class GoldenReference:
    """A golden image that is ready to be compared with.

    Attributes:
        record: its row.
        recipe: for it and for the test images.
        image: (H, W) uint8, conditioned.
    """

    record: ReferenceRecord
    recipe: Recipe
    image: Image


class ReferenceShelf:
    """References by product and revision, or by id. Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._images: OrderedDict[str, GoldenReference] = OrderedDict()
        self._current: dict[tuple[str, str], tuple[float, ReferenceRecord | None]] = {}

    def get(self, reference_id: str) -> GoldenReference:
        """Raises WarehouseError if there is no such reference, DataError if its image cannot be used."""
        with self._lock:
            kept = self._images.get(reference_id)
            if kept is not None:
                self._images.move_to_end(reference_id)
                return kept
        return self._load(get_reference(self._engine, reference_id))

    def find(self, product_type: str, revision: str = "") -> GoldenReference | None:
        """The current reference of a product; None where the library knows nothing of the product.

        Raises:
            DataError: the library knows the product, but not this revision: another revision's would be wrong.
        """
        record = self._record(product_type, revision)
        if record is not None:
            with self._lock:
                kept = self._images.get(record.reference_id)
            return kept or self._load(record)
        others = sorted({r.revision or "none" for r in list_references(self._engine, product_type=product_type)})
        if others:
            raise DataError(
                f"expected a reference of {product_type!r} in revision {revision or 'none'}, found {', '.join(others)}",
                fix="add one with `copperline references add`, or correct the revision",
            )
        return None

    def _record(self, product_type: str, revision: str) -> ReferenceRecord | None:
        now = time.monotonic()
        with self._lock:
            read_at, record = self._current.get((product_type, revision), (-FRESH_SECONDS, None))
        if now - read_at < FRESH_SECONDS:
            return record
        record = current_reference(self._engine, product_type, revision)
        with self._lock:
            if len(self._current) > 10 * _KEPT:  # whoever asks for ever new products must not fill the memory
                self._current.clear()
            self._current[product_type, revision] = now, record
        return record

    def _load(self, record: ReferenceRecord) -> GoldenReference:
        path = Path(record.image_path)
        recipe = Recipe.from_json(record.conditioning)
        image = condition(decode_image(read_whole(path), path, bare_ok=True), recipe)
        loaded = GoldenReference(record, recipe, image)
        with self._lock:
            self._images[record.reference_id] = loaded
            while len(self._images) > _KEPT:
                self._images.popitem(last=False)
        return loaded
