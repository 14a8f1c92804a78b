"""Who looks at the dashboard, what they may do, and the stores that their pages read."""

from __future__ import annotations

import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import streamlit as st
from sqlalchemy import Engine, make_url

from copperline.dashboard import in_snowflake
from copperline.dashboard.failures import failures_shown, plain
from copperline.dashboard.launch import READ_ONLY
from copperline.dashboard.sign_in import email_of, is_reviewer, require_provider, secrets_files
from copperline.errors import SettingsError, SnowflakeError
from copperline.settings import Settings, account
from copperline.warehouse import open_warehouse

# Long enough for a short write of another process, short enough that a page answers.
BUSY_SECONDS = 3.0
UNKNOWN = "unknown"
IN_SNOWFLAKE = "snowflake"  # the value of dashboard_sign_in


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """Read once, when the first visitor comes."""
    return Settings.load()


def time_zone() -> tzinfo:
    """In which the pages show times and cut days and shifts; the tables are in UTC."""
    return ZoneInfo(settings().time_zone)


def now() -> datetime:
    """UTC."""
    return datetime.now(UTC)


def engine() -> Engine:
    """The warehouse for reading. Raises WarehouseError if it is not there."""
    if _is_app():
        return in_snowflake.engine()
    url = settings().warehouse
    return _reader(url, _identity(url))


def writer() -> Engine:
    """The warehouse for what a reviewer decides; only where `may_write()`."""
    if _is_app():
        return in_snowflake.engine()
    url = settings().warehouse
    return _writer(url, _identity(url))


def may_write() -> bool:
    """Whether this visitor may review and promote: not on a read-only server, and if people sign in, only reviewers."""
    if os.environ.get(READ_ONLY):
        return False
    if not settings().dashboard_sign_in:
        return True
    if _is_app():
        try:
            return _reviews_in_snowflake()
        except SnowflakeError:  # looking goes on; `who_is_here` says why nobody may write
            return False
    return signed_in() and is_reviewer(st.user, settings().dashboard_reviewers)


def user_name() -> str:
    """Who is recorded as reviewer: the e-mail address of who signed in, else the account of this machine.

    In Snowflake it is the user's name there.
    """
    if _is_app():
        return in_snowflake.name_of(st.user) or UNKNOWN
    if settings().dashboard_sign_in:
        return email_of(st.user) or str(st.user.get("name") or st.user.get("sub") or UNKNOWN)
    return account()


def signed_in() -> bool:
    """True also where nobody has to sign in."""
    if _is_app():
        return in_snowflake.name_of(st.user) is not None
    return not settings().dashboard_sign_in or st.user.get("is_logged_in") is True


def sign_in_page() -> None:
    """All that a visitor sees before signing in. Raises SettingsError if there is no provider to ask."""
    st.title("Copperline")
    if _is_app():
        raise SettingsError(
            "expected a visitor whom Snowflake has signed in, found none",
            fix="open the app in Snowflake, under Projects, Streamlit; anywhere else set dashboard_sign_in otherwise",
        )
    require_provider(secrets_files())
    st.markdown("Sign in with your company account to see the boards of this plant.")
    st.button("Sign in", icon=":material/login:", type="primary", on_click=st.login)


def who_is_here() -> None:
    """In the sidebar: name, role, and the way out."""
    role = "may review and promote" if may_write() else "view only"
    st.caption(f":material/person: {plain(user_name())}, {role}")
    if _is_app():
        with failures_shown():
            _reviews_in_snowflake()
    elif settings().dashboard_sign_in:
        st.button("Sign out", icon=":material/logout:", on_click=st.logout)


def _is_app() -> bool:
    """Whether this is the app in Snowflake, for whose visitors Snowflake vouches."""
    return settings().dashboard_sign_in == IN_SNOWFLAKE


def _reviews_in_snowflake() -> bool:
    name, role = in_snowflake.name_of(st.user), settings().dashboard_reviewer_role
    if name is None:
        return False
    if in_snowflake.is_named(name, settings().dashboard_reviewers):
        return True
    return role is not None and in_snowflake.has_role(name, role)


def _identity(url: str) -> tuple[int, int] | None:
    """Of an SQLite file: another one in its place is another warehouse, and a cached connection would not notice."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    try:
        found = Path(parsed.database).stat()
    except OSError:
        return None  # opening it says what is wrong
    return found.st_dev, found.st_ino


@st.cache_resource(show_spinner=False, max_entries=4)
def _reader(url: str, identity: tuple[int, int] | None) -> Engine:
    return open_warehouse(url, read_only=True, timeout_s=BUSY_SECONDS)


@st.cache_resource(show_spinner=False, max_entries=4)
def _writer(url: str, identity: tuple[int, int] | None) -> Engine:
    return open_warehouse(url, timeout_s=BUSY_SECONDS)
