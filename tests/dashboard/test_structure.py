from __future__ import annotations

import sys
from importlib import util
from pathlib import Path

import pytest

from copperline.dashboard import structure
from copperline.dashboard.structure import LAYERS, OTHER, Package, first_sentence, imported_by, layers, packages


@pytest.fixture(scope="module")
def found() -> dict[str, Package]:
    return packages()


def test_every_package_has_its_place_and_its_purpose(found: dict[str, Package]) -> None:
    rows = layers(found)
    assert OTHER not in rows, f"give {rows.get(OTHER)} a place in LAYERS"
    assert sorted(name for names in rows.values() for name in names) == list(found)
    assert {name for names in LAYERS.values() for name in names} == set(found), "LAYERS names what is gone"
    assert [name for name, package in found.items() if not package.purpose] == []


def test_no_package_imports_from_a_row_above_it(found: dict[str, Package]) -> None:
    row = {name: at for at, names in enumerate(layers(found).values()) for name in names}
    upwards = {
        (name, target) for name, package in found.items() for target in package.imports if row[target] < row[name]
    }
    assert upwards == set()


def test_imports_are_those_of_the_source(found: dict[str, Package]) -> None:
    assert found["errors"].imports == frozenset()
    assert found["files"].imports == {"errors"}
    assert {"dashboard", "workflows", "inspection"} <= found["cli"].imports  # imported when a command is used
    assert "dashboard" in imported_by("quality", found)
    assert imported_by("cli", found) == ()


def test_a_package_of_another_name_is_drawn_too() -> None:
    novelty = Package("novelty", "Serves", frozenset({"errors"}))
    errors = Package("errors", "Errors", frozenset())
    assert layers({"novelty": novelty, "errors": errors}) == {"Words": ("errors",), OTHER: ("novelty",)}


def test_source_is_read_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "toyline"
    (root / "deep" / "inner").mkdir(parents=True)
    (root / "pictures").mkdir()
    (root / "__init__.py").write_text("")
    (root / "words.py").write_text('"""The `words`. All of them."""\n')
    (root / "deep" / "__init__.py").write_text(
        '"""Goes deep\n  and on: see there.\n\nMore."""\nimport toyline.words as w\n'
    )
    (root / "deep" / "inner" / "late.py").write_text(
        "def f():\n    from toyline import odd, thing\n    from other.words import x\nfrom toyline.deep import y\n"
    )
    (root / "odd.py").write_text("raise RuntimeError\n")
    (root / "pictures" / "a.png").write_bytes(b"")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(structure, "ROOT", "toyline")
    assert util.find_spec("toyline") is not None
    assert packages() == {
        "deep": Package("deep", "Goes deep and on: see there", frozenset({"words", "odd"})),
        "odd": Package("odd", "", frozenset()),
        "words": Package("words", "The words", frozenset()),
    }
    assert "toyline.odd" not in sys.modules


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [(None, ""), ("One", "One"), ("One. Two.", "One"), ("Version 1.5 of it.\n\nMore.", "Version 1.5 of it")],
)
def test_first_sentence(docstring: str | None, sentence: str) -> None:
    assert first_sentence(docstring) == sentence


def test_pages_say_what_they_are() -> None:
    assert (
        structure.page_purpose("about")
        == "What Copperline is: its pages, architecture, data, model, versions and licences"
    )
    assert structure.page_purpose("no_such_page") is None
