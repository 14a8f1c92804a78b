"""The golden references that the line compares with, decoded and conditioned once and kept in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy import Engine

from copperline.errors import DataError
from copperline.reference import WhiteImages
from copperline.warehouse import ReferenceRecord, current_reference, get_reference, list_references
from copperline.workflows.golden_library import GoldenReference, load_reference

# A reference that was added or retired counts after this time at the latest.
FRESH_SECONDS = 1.0
# Of images in memory; a whole-panel scan has 268 MB.
MOST_BYTES = 512 * 2**20
_MOST_ANSWERS = 1000


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the warehouse said of a product and revision: its reference, or the revisions that there are instead."""

    read_at: float
    record: ReferenceRecord | None
    others: tuple[str, ...]


class ReferenceShelf:
    """References by product and revision, or by id. Safe to use from several threads.

    Args:
        engine: the warehouse.
        white_images: for recipes that name one.
        most_bytes: of conditioned images kept; the least recently used go first, the newest always stays.
    """

    def __init__(self, engine: Engine, white_images: WhiteImages, *, most_bytes: int = MOST_BYTES) -> None:
        self._engine = engine
        self._white_images = white_images
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        # Held while an image is read, so that ten boards of a new product do not decode its reference ten times.
        self._loading = threading.Lock()
        self._images: OrderedDict[str, GoldenReference] = OrderedDict()
        self._current: dict[tuple[str, str], _Answer] = {}

    def get(self, reference_id: str) -> GoldenReference:
        """Raises NotFoundError if there is no such reference, DataError if its image cannot be used."""
        return self._kept(reference_id) or self._load(get_reference(self._engine, reference_id))

    def find(self, product_type: str, revision: str = "") -> GoldenReference | None:
        """The current reference of a product; None where the library knows nothing of the product.

        Raises:
            DataError: the library knows the product, but not this revision: another revision's would be wrong. Or the
                image cannot be used.
        """
        answer = self._answer(product_type, revision)
        if answer.record is not None:
            return self._kept(answer.record.reference_id) or self._load(answer.record)
        if answer.others:
            raise DataError(
                f"expected a reference of {product_type!r} in revision {revision or 'none'}, found "
                f"{', '.join(answer.others)}",
                fix="add one with `copperline references add`, or correct the revision",
            )
        return None

    def forget(self) -> None:
        """What is current is asked again at the next board; images stay."""
        with self._lock:
            self._current.clear()

    def _answer(self, product_type: str, revision: str) -> _Answer:
        now = time.monotonic()
        with self._lock:
            answer = self._current.get((product_type, revision))
        if answer is not None and now - answer.read_at < FRESH_SECONDS:
            return answer
        record, others = current_reference(self._engine, product_type, revision), []
        if record is None:
            others = sorted({r.revision or "none" for r in list_references(self._engine, product_type=product_type)})
        answer = _Answer(now, record, tuple(others))
        with self._lock:
            if len(self._current) >= _MOST_ANSWERS:  # whoever asks for ever new products must not fill the memory
                self._current.clear()
            self._current[product_type, revision] = answer
        return answer

    def _kept(self, reference_id: str) -> GoldenReference | None:
        with self._lock:
            kept = self._images.get(reference_id)
            if kept is not None:
                self._images.move_to_end(reference_id)
            return kept

    def _load(self, record: ReferenceRecord) -> GoldenReference:
        with self._loading:
            kept = self._kept(record.reference_id)
            if kept is not None:
                return kept
            loaded = load_reference(record, self._white_images)
            with self._lock:
                self._images[record.reference_id] = loaded
                while len(self._images) > 1 and sum(r.image.nbytes for r in self._images.values()) > self._most_bytes:
                    self._images.popitem(last=False)
            return loaded
