from __future__ import annotations

from dataclasses import dataclass

from copperline.dashboard.shelf import Shelf


@dataclass(frozen=True)
class Box:
    nbytes: int


def test_the_least_lately_used_makes_room() -> None:
    shelf: Shelf[Box] = Shelf(100)
    for key in "abc":
        shelf.get(key, lambda: Box(40))
        assert shelf.find("a") is not None
    assert shelf.find("b") is None
    assert shelf.nbytes == 80


def test_what_is_kept_is_not_made_again() -> None:
    shelf: Shelf[Box] = Shelf(100)
    first = shelf.get("a", lambda: Box(1))
    assert shelf.get("a", lambda: Box(2)) is first


def test_what_is_too_large_stays_alone() -> None:
    shelf: Shelf[Box] = Shelf(100)
    shelf.get("small", lambda: Box(10))
    shelf.get("large", lambda: Box(500))
    assert shelf.find("small") is None
    assert shelf.nbytes == 500
    shelf.get("next", lambda: Box(10))
    assert shelf.nbytes == 10
