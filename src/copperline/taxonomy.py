"""The words of quality decisions; defect classes as data, because another factory has others."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from copperline.errors import SettingsError


class Severity(StrEnum):
    """How much a defect matters to the board's function."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"


class Call(StrEnum):
    """The machine's decision on one inspection. WITHHELD: it could not be decided (for example, no registration)."""

    PASS = "PASS"
    FAIL = "FAIL"
    WITHHELD = "WITHHELD"


class Disposition(StrEnum):
    """What a person, or a later test, decided of a machine call."""

    CONFIRMED = "CONFIRMED"
    FALSE_CALL = "FALSE_CALL"
    ESCAPE = "ESCAPE"


@dataclass(frozen=True, slots=True)
class DefectClass:
    """One class of defect.

    Attributes:
        id: 0-based index, the class id in every array of the product.
        name: the name in labels, tables and JSON.
        severity: default severity, used by the call policy.
        colour: `#rrggbb`, used wherever the class is drawn.
    """

    id: int
    name: str
    severity: Severity
    colour: str


@dataclass(frozen=True)
class Taxonomy:
    """An ordered list of defect classes; the position of a class is its id."""

    classes: tuple[DefectClass, ...]

    def __post_init__(self) -> None:
        if not self.classes:
            raise SettingsError("expected at least one defect class, found none", fix="list the classes")
        if [c.id for c in self.classes] != list(range(len(self.classes))):
            raise SettingsError(f"expected class ids 0..{len(self.classes) - 1} in order", fix="renumber the classes")
        if len(set(self.names)) != len(self.classes):
            raise SettingsError(f"expected distinct class names, found {', '.join(self.names)}", fix="rename one")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[DefectClass]:
        return iter(self.classes)

    def __getitem__(self, class_id: int) -> DefectClass:
        return self.classes[class_id]

    def by_name(self, name: str) -> DefectClass:
        """The class called `name`; raises SettingsError if there is none.

        >>> DEEPPCB.by_name("spur").id
        3
        """
        for defect_class in self.classes:
            if defect_class.name == name:
                return defect_class
        raise SettingsError(f"unknown defect class {name!r}", fix=f"use one of {', '.join(self.names)}")

    @classmethod
    def from_toml(cls, path: Path) -> Taxonomy:
        """Reads `[[classes]]` tables with `name`, `severity` and `colour`, in the order of their ids."""
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))["classes"]
            return cls(
                tuple(
                    DefectClass(i, table["name"], Severity(table["severity"]), table["colour"])
                    for i, table in enumerate(tables)
                )
            )
        except OSError as error:
            raise SettingsError(f"the taxonomy cannot be read ({error.strerror})", where=path) from error
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
            raise SettingsError(
                f"expected [[classes]] tables with name, severity and colour, found {error}",
                where=path,
                fix="see docs/data.md",
            ) from error


# DeepPCB numbers them 1-6 in this order. The colours are told apart with every kind of colour vision, and stand out on
# white, on black and on both backgrounds of the dashboard: tests/test_taxonomy.py says by how much.
DEEPPCB = Taxonomy(
    (
        DefectClass(0, "open", Severity.CRITICAL, "#cc0705"),
        DefectClass(1, "short", Severity.CRITICAL, "#5049ed"),
        DefectClass(2, "mousebite", Severity.MAJOR, "#1c7c55"),
        DefectClass(3, "spur", Severity.MAJOR, "#489ad5"),
        DefectClass(4, "copper", Severity.MAJOR, "#fb5882"),
        DefectClass(5, "pin-hole", Severity.MINOR, "#934b78"),
    )
)
