from pathlib import Path

import pytest

from copperline.errors import SettingsError
from copperline.taxonomy import DEEPPCB, DefectClass, Severity, Taxonomy


def test_deeppcb_order_and_severities() -> None:
    assert DEEPPCB.names == ("open", "short", "mousebite", "spur", "copper", "pin-hole")
    assert [c.severity.value for c in DEEPPCB] == ["critical", "critical", "major", "major", "major", "minor"]
    with pytest.raises(SettingsError, match="unknown defect class 'scratch'; use one of open, short"):
        DEEPPCB.by_name("scratch")


def test_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text('[[classes]]\nname = "splash"\nseverity = "minor"\ncolour = "#ffffff"\n')
    assert Taxonomy.from_toml(file).classes == (DefectClass(0, "splash", Severity.MINOR, "#ffffff"),)


@pytest.mark.parametrize(
    "text", ["classes = 3", "[[classes]]\nname = 'a'", "[[classes", "[[classes]]\nname='a'\nseverity='x'\ncolour=''"]
)
def test_damaged_toml_names_the_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "t.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"t\.toml"):
        Taxonomy.from_toml(file)


def test_classes_must_be_in_order_distinct_and_some() -> None:
    open_ = DefectClass(0, "open", Severity.MINOR, "")
    again = DefectClass(1, "open", Severity.MINOR, "")
    for classes in ((), (again,), (open_, again)):
        with pytest.raises(SettingsError):
            Taxonomy(classes)
