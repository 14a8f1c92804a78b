"""What the path of a file says of its board, by a readable template such as `{line}/{product}/{board}{kind}.{ext}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from copperline.data.images import IMAGE_SUFFIXES
from copperline.errors import DataError, SettingsError

Kind = Literal["test", "reference"]

DEFAULT_PATTERN = "{board}{kind}.{ext}"
DEFAULT_TEST_WORD = "_test"
DEFAULT_REFERENCE_WORD = "_temp"

_FIELDS = ("board", "product", "revision", "line", "station", "panel", "kind", "ext")
_EXTENSIONS = "|".join(sorted(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES))
# The columns of the warehouse that the fields go to hold as many characters.
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class BoardFile:
    """What a path says.

    Attributes:
        fields: by name, without `kind` and `ext`.
        kind: reference where the path has the reference's word, else test.
        expects_reference: the path has the test's word, so a reference beside it is to be expected.
        key: the same for the test images and the reference of one board.
    """

    fields: Mapping[str, str]
    kind: Kind
    expects_reference: bool
    key: tuple[str, ...]


class Pattern:
    """A template that paths are matched with.

    `{board}` holds any text without a slash. Each other field holds, besides, none of the characters that stand right
    before and after it in the template, so a path can be read in one way only: by `{line}_{board}`, `L1_AX_7` is board
    `AX_7` of line `L1`. Upper and lower case of the template's own text do not matter.

    Args:
        text: fields in braces, and text. Without a slash it is matched with the file's name, in whatever subfolder;
            with one, with the whole path below the watched folder.
        test_word: what `{kind}` stands for in the path of a test image; it may also stand for nothing.
        reference_word: what `{kind}` stands for in the path of a reference.

    Raises:
        SettingsError: naming the place in `text` that is wrong.

    >>> found = Pattern("{line}/{board}{kind}.{ext}").match("L1/AX7-0001_temp.png")
    >>> found.fields, found.kind
    ({'line': 'L1', 'board': 'AX7-0001'}, 'reference')
    """

    def __init__(
        self,
        text: str = DEFAULT_PATTERN,
        *,
        test_word: str = DEFAULT_TEST_WORD,
        reference_word: str = DEFAULT_REFERENCE_WORD,
    ) -> None:
        self.text = text
        self._words: dict[str, Kind] = _words(test_word, reference_word)
        self._whole_path = "/" in text
        self._expression = re.compile(_compile(_parse(text), self._words), re.IGNORECASE | re.DOTALL)

    def match(self, relative: str) -> BoardFile | None:
        """What `relative`, a path with slashes below the watched folder, says; None: it does not fit."""
        folder, _, name = relative.rpartition("/")
        found = self._expression.fullmatch(relative if self._whole_path else name)
        if found is None:
            return None
        groups = found.groupdict()
        word = (groups.pop("kind", None) or "").lower()
        groups.pop("ext", None)
        return BoardFile(
            groups,
            self._words.get(word, "test"),
            expects_reference=self._words.get(word) == "test",
            key=("" if self._whole_path else folder, *groups.values()),
        )


def require_usable(fields: Mapping[str, str], where: str) -> None:
    """Raises DataError if a field cannot be kept in the warehouse or shown to people."""
    for name, value in fields.items():
        if len(value) > _LONGEST:
            problem = f"expected a {name} of at most {_LONGEST} characters, found {len(value)}"
        elif not value.isprintable() or value != value.strip():
            # Line breaks, control characters, and bytes of a file name that are no UTF-8.
            problem = f"expected a {name} of printable characters, found {value!a}"
        else:
            continue
        raise DataError(problem, where=where, fix="rename the file")


@dataclass(frozen=True, slots=True)
class _Part:
    """Text of the template, or a field of it, and where it begins (0-based)."""

    text: str
    is_field: bool
    at: int


def _words(test_word: str, reference_word: str) -> dict[str, Kind]:
    for word in (test_word, reference_word):
        if not word or "/" in word:
            raise SettingsError(f"expected a word without a slash for a kind of image, found {word!r}", fix="try _test")
    if test_word.lower() == reference_word.lower():
        raise SettingsError(
            f"expected different words for test image and reference, found {test_word!r} for both",
            fix="try _test and _temp",
        )
    return {test_word.lower(): "test", reference_word.lower(): "reference"}


def _parse(text: str) -> list[_Part]:
    parts: list[_Part] = []
    at = 0
    while at < len(text):
        if text[at] == "}":
            raise _wrong(text, at, "a } without its {")
        if text[at] == "{":
            end = text.find("}", at)
            if end < 0:
                raise _wrong(text, at, "a { without its }")
            parts.append(_field(text, at, end, parts))
            at = end + 1
        else:
            end = min((found for c in "{}" if (found := text.find(c, at)) >= 0), default=len(text))
            parts.append(_Part(text[at:end], False, at))
            at = end
    if "board" not in {part.text for part in parts if part.is_field}:
        raise _wrong(text, len(text), "no {board}")
    return _checked_folders(text, parts)


def _field(text: str, at: int, end: int, before: list[_Part]) -> _Part:
    name = text[at + 1 : end]
    if name not in _FIELDS:
        raise _wrong(text, at, f"the unknown field {{{name}}}")
    if any(part.is_field and part.text == name for part in before):
        raise _wrong(text, at, f"{{{name}}} a second time")
    if before and before[-1].is_field and {name, before[-1].text} != {"board", "kind"}:
        raise _wrong(text, at, f"{{{before[-1].text}}}{{{name}}} without text between them, so no end of the first")
    return _Part(name, True, at)


def _checked_folders(text: str, parts: list[_Part]) -> list[_Part]:
    for part in parts:
        if not part.is_field and "\\" in part.text:
            raise _wrong(text, part.at + part.text.index("\\"), "a backslash; folders are divided by /")
    for at, folder in _folders(text):
        if folder in ("", ".", ".."):
            raise _wrong(text, at, f"a folder named {folder!r}")
    return parts


def _folders(text: str) -> list[tuple[int, str]]:
    found, at = [], 0
    for folder in text.split("/"):
        found.append((at, folder))
        at += len(folder) + 1
    return found


def _wrong(text: str, at: int, found: str) -> SettingsError:
    return SettingsError(
        f"expected a pattern such as {DEFAULT_PATTERN!r}, found {found} at character {at + 1} of {text!r}",
        fix=f"correct --pattern; there are the fields {', '.join(_FIELDS)}",
    )


def _compile(parts: list[_Part], words: Mapping[str, Kind]) -> str:
    expression = []
    for position, part in enumerate(parts):
        if not part.is_field:
            expression.append(re.escape(part.text))
        elif part.text == "kind":
            expression.append(f"(?P<kind>{'|'.join(re.escape(word) for word in words)}|)")
        elif part.text == "ext":
            expression.append(f"(?P<ext>{_EXTENSIONS})")
        elif part.text == "board":
            expression.append("(?P<board>[^/]+?)")
        else:
            expression.append(f"(?P<{part.text}>[^/{_neighbours(parts, position)}]+)")
    return "".join(expression)


def _neighbours(parts: list[_Part], position: int) -> str:
    before = parts[position - 1] if position else None
    after = parts[position + 1] if position + 1 < len(parts) else None
    beside = ("" if before is None or before.is_field else before.text[-1]) + (
        "" if after is None or after.is_field else after.text[0]
    )
    return re.escape(beside)
