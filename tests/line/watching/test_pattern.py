"""Paths are read by a template in one way only, and a wrong template is told where it is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copperline.errors import DataError, SettingsError
from copperline.line.watching import Pattern
from copperline.line.watching.pattern import require_usable

FREE = ("product", "revision", "line", "station", "panel")
SEPARATORS = ("_", "-", "/", "__", " at ", "+x.", "(", "[a]")


@st.composite
def patterns(draw: st.DrawFn) -> tuple[list[str], str]:
    """Fields and texts in turn, and the template that they make."""
    fields = draw(st.permutations(["board", *draw(st.lists(st.sampled_from(FREE), unique=True, max_size=4))]))
    parts = [f"{{{fields[0]}}}"]
    for name in fields[1:]:
        parts += [draw(st.sampled_from(SEPARATORS)), f"{{{name}}}"]
    if draw(st.booleans()):
        at = parts.index("{board}")
        parts.insert(at + 1, "{kind}")
    return parts, "".join(parts) + ".{ext}"


@given(patterns(), st.data())
def test_what_a_pattern_writes_it_reads_again(made: tuple[list[str], str], data: st.DataObject) -> None:
    parts, text = made
    value = st.text(st.characters(exclude_characters="/\\_-+. ([]x)at", exclude_categories=["Cs"]), min_size=1)
    told, path, kind = {}, "", data.draw(st.sampled_from(["_test", "_temp", ""]))
    for part in parts:
        name = part.strip("{}")
        if not part.startswith("{"):
            path += part
        elif name == "kind":
            path += kind
        else:
            told[name] = data.draw(value)
            path += told[name]
    if "{kind}" not in parts:
        kind = ""
    found = Pattern(text).match(f"{path}.PNG")
    assert found is not None
    assert dict(found.fields) == told
    assert found.kind == ("reference" if kind == "_temp" else "test")
    assert found.expects_reference == (kind == "_test")


@given(st.text(st.sampled_from(list("{}board/_.kindextproductline\\\n")), max_size=30))
def test_any_text_is_a_pattern_or_a_mistake_with_its_place(text: str) -> None:
    try:
        pattern = Pattern(text)
    except SettingsError as error:
        assert "at character" in str(error)
        assert error.fix
    else:
        assert "{board}" in text
        pattern.match("a/b/c_test.png")


@given(st.text(max_size=300))
def test_any_path_is_read_or_not_and_never_fails(path: str) -> None:
    found = Pattern("{line}_{product}-{board}{kind}.{ext}").match(path)
    if found is not None:
        assert all(found.fields.values())


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("{bord}.png", 1, "unknown field {bord}"),
        ("{board", 1, "a { without its }"),
        ("board}", 6, "a } without its {"),
        ("{line}{board}.png", 7, "{line}{board} without text between them"),
        ("{kind}{ext}{board}", 7, "without text between"),
        ("{board}_{board}", 9, "{board} a second time"),
        ("{line}.png", 11, "no {board}"),
        ("{line}//{board}", 8, "a folder named ''"),
        ("../{board}", 1, "a folder named '..'"),
        ("{line}\\{board}", 7, "a backslash"),
        ("", 1, "no {board}"),
    ],
)
def test_a_wrong_pattern_names_the_place(text: str, place: int, found: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Pattern(text)
    assert found in str(caught.value)
    assert f"at character {place} of" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "path", "fields"),
    [
        ("{line}_{board}.{ext}", "L1_AX_7.png", {"line": "L1", "board": "AX_7"}),
        ("{board}_{line}.{ext}", "AX_7_L1.png", {"line": "L1", "board": "AX_7"}),
        ("{board}_test.{ext}", "AX_TEST.JPG", {"board": "AX"}),
        ("{board}_test.{ext}", "AX.jpg", None),
        ("{board}_test.{ext}", "AX_test.gif", None),
        ("{line}/{product}/{board}.png", "L1/Hub/B1.png", {"line": "L1", "product": "Hub", "board": "B1"}),
        ("{line}/{product}/{board}.png", "x/L1/Hub/B1.png", None),
        ("{board}.{ext}", "any/where/B1.v2.png", {"board": "B1.v2"}),
    ],
)
def test_paths_are_read_as_documented(text: str, path: str, fields: dict[str, str] | None) -> None:
    found = Pattern(text).match(path)
    assert (None if found is None else dict(found.fields)) == fields


def test_kinds_have_the_words_that_the_machine_uses() -> None:
    pattern = Pattern("{kind}/{board}.{ext}", test_word="scan", reference_word="gold")
    scan, gold = pattern.match("scan/B1.png"), pattern.match("gold/B1.bmp")
    assert scan is not None
    assert gold is not None
    assert (scan.kind, gold.kind, scan.key == gold.key) == ("test", "reference", True)
    assert pattern.match("other/B1.png") is None
    with pytest.raises(SettingsError, match="for both"):
        Pattern(test_word="_a", reference_word="_A")
    with pytest.raises(SettingsError, match="expected a word"):
        Pattern(test_word="")


def test_boards_of_one_name_in_two_folders_are_two() -> None:
    one, other = Pattern().match("a/B1_test.png"), Pattern().match("b/B1_temp.png")
    assert one is not None
    assert other is not None
    assert one.key != other.key


def test_a_long_name_is_read_quickly() -> None:
    assert Pattern("{line}_{station}_{product}_{panel}_{board}_x.{ext}").match("_" * 250 + ".png") is None


@pytest.mark.parametrize("value", ["a\nb", "a\0", "x" * 256, " a", "\udcff", "a\u202eb"])
def test_a_field_that_cannot_be_kept_is_refused(value: str) -> None:
    with pytest.raises(DataError, match="expected a board of"):
        require_usable({"board": value}, "file")
    require_usable({"board": 'Ü "1"; \'--'}, "file")
