"""Inside Snowflake's Container Runtime: whether this is it, and the session of the notebook or job."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from copperline.errors import SnowflakeError
from copperline.snowflake.failures import snowflake_errors
from copperline.snowflake.session import active_session

if TYPE_CHECKING:
    from snowflake.snowpark import Session

_DISTRIBUTORS = "snowflake.ml.modeling.distributors.pytorch"


def in_container_runtime() -> bool:
    """Whether Snowflake's distributors are here, which are in its Container Runtime alone and not on PyPI."""
    try:
        return importlib.util.find_spec(_DISTRIBUTORS) is not None
    except ModuleNotFoundError:
        return False


def require_container_runtime() -> None:
    """Raises SnowflakeError where the distributors are not."""
    if not in_container_runtime():
        raise SnowflakeError(
            f"expected Snowflake's Container Runtime, found no {_DISTRIBUTORS} here",
            fix="run this in a notebook or ML Job on a compute pool; from any other machine use "
            "`copperline snowflake train`",
        )


def container_session() -> Session:
    """The active session; in a process that has none, such as a job's or a worker's, one of the container's own user.

    Raises:
        SnowflakeError: the account refuses.
    """
    found = active_session()
    if found is not None:
        return found
    from snowflake.snowpark import Session

    with snowflake_errors("Snowflake"):
        session: Session = Session.builder.getOrCreate()
        return session
