"""Rows of the golden library, on both databases: versions, retirement, revisions that are never mixed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from copperline.errors import NotFoundError, WarehouseError
from copperline.warehouse import (
    NewReference,
    add_reference,
    current_reference,
    get_reference,
    list_references,
    retire_reference,
)

pytestmark = pytest.mark.on_snowflake


def new(product: str = "Hub", revision: str = "", note: str | None = None) -> NewReference:
    return NewReference(product, revision, "stage/a.png", "ab" * 32, 640, 480, "ann", '{"median":3}', 1200, note)


def test_versions_count_for_each_product_and_revision(any_engine: Engine) -> None:
    versions = [
        add_reference(any_engine, new(*key)).version for key in (("Hub",), ("Hub",), ("Hub", "B"), ("AX7",), ("Hub",))
    ]
    assert versions == [1, 2, 1, 1, 3]
    listed = [(r.product_type, r.revision, r.version) for r in list_references(any_engine)]
    assert listed == [("AX7", "", 1), ("Hub", "", 3), ("Hub", "", 2), ("Hub", "", 1), ("Hub", "B", 1)]
    assert [r.revision for r in list_references(any_engine, product_type="Hub")] == ["", "", "", "B"]


def test_a_row_comes_back_as_it_was_written(any_engine: Engine) -> None:
    written = add_reference(any_engine, new(note="new drill, Ø 0.3"))
    assert get_reference(any_engine, written.reference_id) == written
    assert written.created_at.tzinfo is not None
    assert (written.opportunities, written.conditioning, written.retired_at) == (1200, '{"median":3}', None)


def test_a_retired_version_gives_way_to_the_one_before_and_keeps_its_time(any_engine: Engine) -> None:
    first, second = (add_reference(any_engine, new()) for _ in range(2))
    assert current_reference(any_engine, "Hub") == second
    retired = retire_reference(any_engine, second.reference_id)
    assert retired.retired_at is not None
    assert current_reference(any_engine, "Hub") == first
    assert retire_reference(any_engine, second.reference_id) == retired
    assert list_references(any_engine) == (first,)
    assert list_references(any_engine, retired=True) == (retired, first)
    retire_reference(any_engine, first.reference_id)
    assert current_reference(any_engine, "Hub") is None
    # A number is never given twice, or old inspections would name another image.
    assert add_reference(any_engine, new()).version == 3


def test_several_writers_get_different_versions(any_engine: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(lambda _: add_reference(any_engine, new()).version, range(12)))
    assert sorted(versions) == list(range(1, 13))


@pytest.mark.parametrize("name", ["", "  "])
def test_a_product_must_be_named(any_engine: Engine, name: str) -> None:
    with pytest.raises(WarehouseError, match="expected the product"):
        add_reference(any_engine, new(name))


def test_unknown_ids_are_told(any_engine: Engine) -> None:
    for ask in (get_reference, retire_reference):
        with pytest.raises(NotFoundError, match=r"found no 'x'.*references list"):
            ask(any_engine, "x")
