"""Text as it stands in Snowflake's SQL; what it does to a name is in `snowflake_settings.quoted`."""

from __future__ import annotations


def literal(text: str) -> str:
    r"""The text as a string in SQL, where a backslash is an escape too.

    >>> print(literal("it's 50 % \\ more"))
    'it''s 50 % \\ more'
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def like(name: str) -> str:
    r"""A pattern of SHOW ... LIKE that only this name fits, in any case: `%` and `_` stand for themselves.

    >>> print(like("PCB_CV"))
    'PCB\\_CV'
    """
    pattern = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return literal(pattern)
