"""What Snowflake refuses, in one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from copperline.errors import CopperlineError, SnowflakeError

_PACKAGES = ("snowflake.connector.", "snowflake.snowpark.", "snowflake.ml.")


@contextmanager
def snowflake_errors(where: str | None = None) -> Iterator[None]:
    """Raises what the connector, Snowpark or Snowflake ML raise inside as a SnowflakeError of one line.

    Args:
        where: the object that is worked on, such as a stage or table.
    """
    try:
        yield
    except CopperlineError:
        raise
    except Exception as error:
        if not is_of_snowflake(error):
            raise
        raise explained(error, where) from error


def is_of_snowflake(error: BaseException) -> bool:
    """Whether a library of Snowflake raised it, as an error of its own."""
    return any(kind.__module__.startswith(_PACKAGES) for kind in type(error).__mro__)


def explained(error: BaseException, where: str | None = None) -> SnowflakeError:
    """What happened and what to do."""
    words = " ".join(str(getattr(error, "msg", None) or getattr(error, "message", None) or error).split())
    return SnowflakeError(f"Snowflake refuses: {words[:300]}", where=where, fix="see docs/snowflake.md")
