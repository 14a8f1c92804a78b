"""What a text in a request may be: no control characters, nothing longer than its column."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, WithJsonSchema

# Control characters and halves of surrogate pairs: neither belongs in a name, and PostgreSQL takes neither NUL nor
# surrogates in any text.
_REFUSED = frozenset({"Cc", "Cs"})
_FIRST_YEAR, _END_YEAR = 1970, 2200


def _of_one_line(text: str) -> str:
    if any(unicodedata.category(character) in _REFUSED for character in text):
        raise ValueError("expected text without control characters")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("expected text that is not blank")
    return text


def _of_lines(text: str) -> str:
    if any(unicodedata.category(c) in _REFUSED and c not in "\n\r\t" for c in text):
        raise ValueError("expected text without control characters other than line breaks and tabs")
    return text


def _in_our_time(moment: datetime) -> datetime:
    # Beyond it, conversion to UTC and the ends of a day overflow, and no board was made.
    if not _FIRST_YEAR <= moment.year < _END_YEAR:
        raise ValueError(f"expected a year from {_FIRST_YEAR} on and before {_END_YEAR}")
    return moment


_LINE = AfterValidator(_of_one_line)
_BLANK = AfterValidator(_not_blank)

# Name of a board, station, line, product, panel.
Name = Annotated[str, Field(min_length=1, max_length=255), _LINE, _BLANK]
# As Name; the empty text says that there is none.
NameOrEmpty = Annotated[str, Field(max_length=255), _LINE]
# Key of a row.
Key = Annotated[str, Field(min_length=1, max_length=64), _LINE]
Note = Annotated[str, Field(max_length=4000), AfterValidator(_of_lines)]
Moment = Annotated[
    AwareDatetime,
    AfterValidator(_in_our_time),
    WithJsonSchema({"type": "string", "format": "date-time", "description": "With its zone, RFC 3339"}),
]
# SQLAlchemy's Integer is 32 bits on PostgreSQL.
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
IdempotencyKey = Annotated[str, Field(min_length=1, max_length=255), _LINE]
