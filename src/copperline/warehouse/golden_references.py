"""The golden library's rows: references of products, by revision and version. Images are on the stage."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Engine, and_, func, insert, select, true, update

from copperline.errors import NotFoundError, WarehouseError
from copperline.warehouse.engine import read_transaction, write_transaction
from copperline.warehouse.failures import place
from copperline.warehouse.line_tables import golden_references


@dataclass(frozen=True, slots=True)
class ReferenceRecord:
    """A version of a product's golden image.

    Attributes:
        reference_id: UUID.
        revision: of the product; empty: it has none.
        version: counts from 1 for each product and revision; the newest in use counts.
        image_path, image_sha256: of the image as it was given.
        width, height: px.
        conditioning: JSON text of the recipe for it and for the test images; None: none.
        opportunities: defect opportunities of a board of this product; None: unknown.
        created_at, retired_at: UTC; not retired: in use.
    """

    reference_id: str
    product_type: str
    revision: str
    version: int
    image_path: str
    image_sha256: str
    width: int
    height: int
    conditioning: str | None
    opportunities: int | None
    created_at: datetime
    created_by: str
    retired_at: datetime | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class NewReference:
    """What is given to `add_reference`; see ReferenceRecord."""

    product_type: str
    revision: str
    image_path: str
    image_sha256: str
    width: int
    height: int
    created_by: str
    conditioning: str | None = None
    opportunities: int | None = None
    note: str | None = None


def add_reference(engine: Engine, new: NewReference) -> ReferenceRecord:
    """Adds the next version for its product and revision; earlier ones stay.

    Raises:
        WarehouseError: no product is named, or the database refused.
    """
    if not new.product_type.strip():
        raise WarehouseError("expected the product that the image is golden for, found none", fix="name the product")
    table = golden_references.c
    same = and_(table.product_type == new.product_type, table.revision == new.revision)
    with write_transaction(engine) as connection:
        last = connection.execute(select(func.max(table.version)).where(same)).scalar() or 0
        record = ReferenceRecord(
            reference_id=str(uuid.uuid4()), version=last + 1, created_at=datetime.now(UTC), **asdict(new)
        )
        connection.execute(insert(golden_references).values(asdict(record)))
    return record


def retire_reference(engine: Engine, reference_id: str) -> ReferenceRecord:
    """Takes a version out of use; the one before it, if it is in use, counts again. Inspections keep naming it.

    Raises:
        NotFoundError: there is no such reference.
    """
    with write_transaction(engine) as connection:
        connection.execute(
            update(golden_references)
            .where(golden_references.c.reference_id == reference_id, golden_references.c.retired_at.is_(None))
            .values(retired_at=datetime.now(UTC))
        )
    return get_reference(engine, reference_id)


def get_reference(engine: Engine, reference_id: str) -> ReferenceRecord:
    """Raises NotFoundError if there is none."""
    found = _select(engine, golden_references.c.reference_id == reference_id)
    if not found:
        raise NotFoundError(
            f"expected a reference of the golden library, found no {reference_id!r}",
            where=place(engine.url),
            fix="list them with `copperline references list`",
        )
    return found[0]


def current_reference(engine: Engine, product_type: str, revision: str = "") -> ReferenceRecord | None:
    """The newest version in use; None: there is none."""
    table = golden_references.c
    same = and_(table.product_type == product_type, table.revision == revision, table.retired_at.is_(None))
    found = _select(engine, same)
    return found[0] if found else None


def list_references(
    engine: Engine, *, product_type: str | None = None, retired: bool = False
) -> tuple[ReferenceRecord, ...]:
    """By product and revision, the newest version first.

    Args:
        product_type: only of this product.
        retired: also those that are out of use.
    """
    table = golden_references.c
    return _select(
        engine,
        and_(
            true() if product_type is None else table.product_type == product_type,
            true() if retired else table.retired_at.is_(None),
        ),
    )


def _select(engine: Engine, condition: ColumnElement[bool]) -> tuple[ReferenceRecord, ...]:
    table = golden_references.c
    query = (
        select(golden_references).where(condition).order_by(table.product_type, table.revision, table.version.desc())
    )
    with read_transaction(engine) as connection:
        return tuple(ReferenceRecord(**row) for row in connection.execute(query).mappings())
