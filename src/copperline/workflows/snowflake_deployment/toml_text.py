"""TOML for the settings that go along with a deployment: plain values, lists, and tables of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import time

Value = str | bool | int | float | time | tuple["Value", ...]


def toml_text(values: Mapping[str, Value], tables: Mapping[str, Mapping[str, Value]] | None = None) -> str:
    r"""The text of a TOML file; names are those of settings, which need no quotes.

    >>> print(toml_text({"time_zone": "UTC", "hours": (6, 14)}, {"snowflake": {"database": 'A "B"'}}), end="")
    time_zone = "UTC"
    hours = [6, 14]
    <BLANKLINE>
    [snowflake]
    database = "A \"B\""
    """
    parts = ["".join(f"{name} = {_value(value)}\n" for name, value in values.items())]
    for table, content in (tables or {}).items():
        parts.append(f"[{table}]\n" + "".join(f"{name} = {_value(value)}\n" for name, value in content.items()))
    return "\n".join(part for part in parts if part)


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's strings are TOML's, but for the character DEL, which TOML wants escaped too.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return repr(value)
