"""The dashboard inside Snowflake: its session and warehouse, who visits, and who reviews.

The app runs in a container with the rights of its owner, one process for all visitors. Snowflake has signed each of
them in, and says who they are in `st.user`. Their e-mail address there is what they wrote into their own profile, so
it is their user name that counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st
from pydantic import TypeAdapter
from sqlalchemy import Engine
from streamlit.errors import StreamlitAPIException

from copperline.errors import SettingsError, SnowflakeError
from copperline.snowflake.failures import snowflake_errors
from copperline.snowflake.session import close_session
from copperline.snowflake_settings import Identifier, quoted
from copperline.warehouse import open_warehouse_of

if TYPE_CHECKING:
    from snowflake.snowpark import Session

CONNECTION = "snowflake"
# A session that nobody used for hours has ended; to ask costs one request, and no virtual warehouse.
_ASK_AGAIN_S = 60.0
_ROLES_S = 60.0  # how long a change of a role's members may stay unseen
_MOST_ROLES = 100  # that may hold the reviewers' role, one through another
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


@dataclass
class _Held:
    """The one session of this process, and the engine over it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    session: Session | None = None
    engine: Engine | None = None
    asked_at: float = 0.0


@st.cache_resource(show_spinner=False)
def _held() -> _Held:
    return _Held()


def engine() -> Engine:
    """The warehouse over the app's own session; anew when that has ended.

    Raises:
        SnowflakeError: Snowflake does not let the app in.
        WarehouseError: the tables cannot be read.
    """
    held = _held()
    with held.lock:
        session = _living_session(held)
        if held.engine is None:
            held.engine = open_warehouse_of(session)
        return held.engine


def session() -> Session:
    """The app's Snowpark session, one for all visitors; raises SnowflakeError if Snowflake does not let the app in."""
    held = _held()
    with held.lock:
        return _living_session(held)


def name_of(user: Mapping[str, object]) -> str | None:
    """The user name that Snowflake vouches for; None: Snowflake signed nobody in.

    >>> name_of({"user_name": "JSMITH", "email": "j@plant.example"}), name_of({"email": "j@plant.example"})
    ('JSMITH', None)
    """
    name = user.get("user_name")
    return name if isinstance(name, str) and name else None


def is_named(user_name: str, reviewers: Iterable[str]) -> bool:
    """Whether the user is one of `reviewers`; those are written as in SQL: `"jsmith"` in quotes is not JSMITH.

    >>> is_named("JSMITH", ["jsmith"]), is_named("jsmith", ["jsmith"]), is_named("jsmith", ['"jsmith"'])
    (True, False, True)
    """
    return user_name in {_written(name.strip()) for name in reviewers if name.strip()}


def has_role(user_name: str, role: str) -> bool:
    """Whether the user holds the role, through other roles too.

    Raises:
        SnowflakeError: the app's owner may not see who holds it, or more roles hold it than anybody can oversee.
    """
    return user_name in _members(role)


@st.cache_data(show_spinner=False, ttl=_ROLES_S, max_entries=4)
def _members(role: str) -> frozenset[str]:
    users: set[str] = set()
    found, waiting = {role}, [role]
    while waiting:
        for kind, name in _grantees(waiting.pop()):
            if kind == "USER":
                users.add(name)
            elif kind == "ROLE" and name not in found:
                found.add(name)
                waiting.append(name)
        if len(found) > _MOST_ROLES:
            raise SnowflakeError(
                f"expected at most {_MOST_ROLES} roles that hold the reviewers' role, found more",
                where=role,
                fix="make a role for reviewers alone, and name it in dashboard_reviewer_role",
            )
    return frozenset(users)


def _grantees(role: str) -> list[tuple[str, str]]:
    """(USER or ROLE, name) of all that the role is granted to."""
    with snowflake_errors(f"role {role}"):
        rows = session().sql(f"SHOW GRANTS OF ROLE {quoted(role)}").collect()
    return [(str(row["granted_to"]).upper(), _unquoted(str(row["grantee_name"]))) for row in rows]


def _living_session(held: _Held) -> Session:
    now = time.monotonic()
    if held.session is not None and now - held.asked_at > _ASK_AGAIN_S:
        held.asked_at = now
        if not held.session.connection.is_valid():
            _forget(held)
    if held.session is None:
        held.session = _new_session()
        held.asked_at = now
    return held.session


def _new_session() -> Session:
    try:
        with snowflake_errors("Snowflake"):
            session: Session = st.connection(CONNECTION).session()
            return session
    except StreamlitAPIException as error:
        raise SnowflakeError(
            "expected the app's own connection to Snowflake, found none",
            fix="run the app in Snowflake, or give it a connection in .streamlit/secrets.toml: [connections.snowflake]",
        ) from error


def _forget(held: _Held) -> None:
    """Closes an ended session, or it would stay beside the new one among Snowpark's active ones."""
    if held.session is not None:
        close_session(held.session)
    held.session = held.engine = None
    st.connection(CONNECTION).reset()


def _written(name: str) -> str:
    """The name that Snowflake keeps for what was written."""
    if len(name) > 2 and name[0] == name[-1] == '"':
        return _unquoted(name)
    try:
        return _IDENTIFIER.validate_python(name)
    except ValueError as error:
        raise SettingsError(
            f"setting 'dashboard_reviewers': expected user names of Snowflake, found {name!r}", fix="correct it"
        ) from error


def _unquoted(name: str) -> str:
    """SHOW gives a name that is no plain one in quotes."""
    return name[1:-1].replace('""', '"') if len(name) > 2 and name[0] == name[-1] == '"' else name
