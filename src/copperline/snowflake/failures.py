"""What Snowflake refuses, in one line that says what to do: a table of its error numbers, then of its words.

Numbers from 390000 on are of signing in, 250000 to 290999 of the connector, those below of SQL. The same server error
comes from the connector with its number in `errno`, and from Snowpark in `sql_error_code`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from copperline.errors import CopperlineError, SnowflakeError

_PACKAGES = ("snowflake.", "requests.", "urllib3.")  # the connector lets errors of its HTTP client through
_LONGEST = 300  # characters of Snowflake's own words in a message
_SECRETS = ("PASSWORD", "TOKEN", "PRIVATE_KEY_FILE_PWD")


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
    """Whether a library of Snowflake raised it, or the network under one."""
    return isinstance(error, (ConnectionError, TimeoutError)) or any(
        kind.__module__.startswith(_PACKAGES) for kind in type(error).__mro__
    )


def explained(error: BaseException, where: str | None = None) -> SnowflakeError:
    """What happened and what to do, without a password or token."""
    said = _said(error)
    return SnowflakeError(said.problem.format(words=words_of(error)), where=where, fix=said.fix)


def number_of(error: BaseException) -> int:
    """Snowflake's number of the error; -1: it has none."""
    for candidate in _chain(error):
        for name in ("errno", "sql_error_code"):
            number = getattr(candidate, name, None)
            if isinstance(number, int) and number > 0 and candidate.__class__.__module__.startswith("snowflake."):
                return number
    return -1


def lacks_privilege(error: BaseException) -> bool:
    """Whether the role may not do it."""
    states = (getattr(candidate, "sqlstate", None) for candidate in _chain(error))
    return (
        number_of(error) == _PRIVILEGE
        or _PRIVILEGE_STATE in states
        or "insufficient privileges" in words_of(error).lower()
    )


def is_missing(error: BaseException) -> bool:
    """Whether the object is not there, or is hidden from the role, which Snowflake does not tell apart."""
    return number_of(error) in _MISSING or "does not exist or not authorized" in words_of(error).lower()


def denies_role(error: BaseException) -> bool:
    """Whether the user may not act as the role, or it is not there."""
    return _said(error) in (_NOT_YOUR_ROLE, _NO_OBJECT, _NO_PRIVILEGE)


class _Said(NamedTuple):
    problem: str
    fix: str


_VARIABLES = "SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER and SNOWFLAKE_TOKEN, SNOWFLAKE_PRIVATE_KEY_FILE or SNOWFLAKE_PASSWORD"
_STATUS = "see `copperline snowflake status` for what there is"

_NO_CREDENTIALS = _Said("expected credentials, found too few ({words})", f"set {_VARIABLES}")
_WRONG_PASSWORD = _Said(
    "the account refuses this user and password", "check SNOWFLAKE_USER, SNOWFLAKE_PASSWORD and SNOWFLAKE_ACCOUNT"
)
_LOCKED = _Said("the user is locked or disabled ({words})", "wait 15 minutes, or ask an administrator to unlock it")
_NEW_PASSWORD = _Said("the user's password has expired ({words})", "sign in to Snowsight once and change it")
_MFA = _Said(
    "the account wants a second factor ({words})",
    "sign in with a programmatic access token (SNOWFLAKE_TOKEN) or a key pair (SNOWFLAKE_PRIVATE_KEY_FILE)",
)
_EXPIRED = _Said(
    "the token or session has expired or is not valid", "make a new token, set SNOWFLAKE_TOKEN, and start again"
)
_WRONG_KEY = _Said(
    "the account refuses the key pair ({words})",
    "check that the user's RSA_PUBLIC_KEY belongs to SNOWFLAKE_PRIVATE_KEY_FILE, and this machine's clock",
)
_NOT_YOUR_ROLE = _Said(
    "the role is not there, or not granted to the user ({words})",
    "name one of your roles in [snowflake], or have it granted: GRANT ROLE ... TO USER ...",
)
_NETWORK_POLICY = _Said(
    "a network policy of the account keeps this machine out ({words})",
    "use the company's network, or have the address allowed in the policy",
)
_NO_ACCOUNT = _Said(
    "there is no such account ({words})",
    "write SNOWFLAKE_ACCOUNT as ORGANISATION-ACCOUNT, which Snowsight shows under Account details",
)
_UNREACHABLE = _Said(
    "the account cannot be reached ({words})",
    "check SNOWFLAKE_ACCOUNT, the network and its proxy, and start again: it goes on where it was",
)
_TIMED_OUT = _Said("no answer came in time ({words})", "start again: it goes on where it was")
_CUT = _Said("the connection was cut ({words})", "start again: it goes on where it was")
_CERTIFICATE = _Said(
    "the TLS connection is not trusted ({words})", "have your proxy's certificate trusted on this machine"
)
_FILE_LOST = _Said("a file could not be moved to or from the stage ({words})", "start again: it goes on where it was")

_NO_PRIVILEGE = _Said("the role may not do this ({words})", "run `copperline snowflake setup`, which grants it")
_NO_OBJECT = _Said(
    "an object is not there, or hidden from the role ({words})", f"run `copperline snowflake setup`; {_STATUS}"
)
_EXISTS = _Said("an object of that name is there already ({words})", _STATUS)
_NO_WAREHOUSE = _Said(
    "no warehouse runs the statement ({words})", "run `copperline snowflake setup`, which makes one and grants its use"
)
_QUOTA = _Said(
    "the warehouse has used its credits ({words})",
    "raise credit_quota in [snowflake] and on the resource monitor, or wait for the next month",
)
_SLOW = _Said("the statement was stopped by a time limit ({words})", "take a larger warehouse_size, or ask for less")
_STOPPED = _Said("the statement was stopped by somebody ({words})", "start again: it goes on where it was")
_LOCKED_TABLE = _Said("another statement holds the table for too long ({words})", "start again in a minute")
_TOO_LONG = _Said("the statement is too long for Snowflake ({words})", "this is a mistake in Copperline: report it")
_SYNTAX = _Said("Snowflake cannot read the statement ({words})", "this is a mistake in Copperline: report it")
_TRIAL = _Said(
    "trial accounts cannot do this ({words})", "set allowed_hosts = [] in [snowflake], or convert the account"
)
_NO_FAMILY = _Said(
    "this kind of node is not to be had here ({words})",
    "see SHOW COMPUTE POOL INSTANCE FAMILIES, and set instance_family in [snowflake]",
)
_NOT_INSTALLED = _Said("a library is not installed ({words})", "pip install 'copperline[snowflake]'")
_OTHER = _Said("Snowflake refuses: {words}", "see docs/snowflake.md")

_PRIVILEGE = 3001
_PRIVILEGE_STATE = "42501"  # of SQL
_MISSING = (2003, 2043)

_SAID: dict[int, _Said] = {
    **dict.fromkeys((251001, 251005, 251006), _NO_CREDENTIALS),
    390100: _WRONG_PASSWORD,
    390102: _LOCKED,
    **dict.fromkeys(range(390120, 390130), _MFA),
    **dict.fromkeys((390110, 390111, 390112, 390113, 390114, 390115, 390195, 390303, 390318, 394400), _EXPIRED),
    **dict.fromkeys((251008, 251010, 390144, *range(394300, 394307)), _WRONG_KEY),
    **dict.fromkeys((390186, 390189), _NOT_YOUR_ROLE),
    **dict.fromkeys((390420, 390422), _NETWORK_POLICY),
    290404: _NO_ACCOUNT,
    **dict.fromkeys((250003, 250005, 251009, 290403, 290502, 290503), _UNREACHABLE),
    **dict.fromkeys((251011, 251012, 290408, 290504), _TIMED_OUT),
    **dict.fromkeys(range(254001, 254021), _CERTIFICATE),
    **dict.fromkeys((253002, 253003), _FILE_LOST),
    _PRIVILEGE: _NO_PRIVILEGE,
    **dict.fromkeys(_MISSING, _NO_OBJECT),
    2002: _EXISTS,
    606: _NO_WAREHOUSE,
    **dict.fromkeys((90066, 90073), _QUOTA),
    630: _SLOW,
    604: _STOPPED,
    625: _LOCKED_TABLE,
    1003: _SYNTAX,
}

# What has no number of its own, or more than one.
_WORDS: tuple[tuple[str, _Said], ...] = (
    (r"incorrect username or password", _WRONG_PASSWORD),
    (r"temporarily locked|user is disabled", _LOCKED),
    (r"password (has )?expired|password must be changed", _NEW_PASSWORD),
    (r"not allowed to access snowflake|network policy", _NETWORK_POLICY),
    (r"multi-?factor|\bmfa\b|duo ", _MFA),
    (
        r"programmatic access token is (invalid|expired)|token (has )?expired|token is invalid|re-?authenticate",
        _EXPIRED,
    ),
    (r"not assigned to the executing user|role '.*' specified in the connect string", _NOT_YOUR_ROLE),
    (r"exceeded its quota", _QUOTA),
    (r"no active warehouse", _NO_WAREHOUSE),
    (r"trial account", _TRIAL),
    (r"instance.family.*(not (available|supported)|invalid)|(invalid|unsupported).*instance.family", _NO_FAMILY),
    (r"does not exist or not authorized", _NO_OBJECT),
    (r"maximum (size|length) of sql|sql (statement|text) (is )?too long", _TOO_LONG),
    (r"certificate verify failed|non-retryable ssl", _CERTIFICATE),
    (r"timed out|timeout", _TIMED_OUT),
    (r"connection (aborted|reset|broken|refused)|remote end closed|name or service not known|failed to resolve", _CUT),
)

# By name, so that no library is imported where none failed; the first that is among an error's kinds counts.
_KINDS: dict[str, _Said] = {
    "MissingConfigOptionError": _NO_CREDENTIALS,
    "ConfigSourceError": _NO_CREDENTIALS,
    "MissingDependencyError": _NOT_INSTALLED,
    "RefreshTokenError": _EXPIRED,
    "TokenExpiredError": _EXPIRED,
    "RevocationCheckError": _CERTIFICATE,
    "NonRetryableTlsError": _CERTIFICATE,
    "PresignedUrlExpiredError": _FILE_LOST,
    "BindUploadError": _FILE_LOST,
    "ForbiddenError": _UNREACHABLE,
    "TooManyRequests": _UNREACHABLE,
    "InternalServerError": _UNREACHABLE,
    "BadGatewayError": _UNREACHABLE,
    "ServiceUnavailableError": _UNREACHABLE,
    "RequestExceedMaxRetryError": _UNREACHABLE,
    "OtherHTTPRetryableError": _UNREACHABLE,
    "RequestTimeoutError": _TIMED_OUT,
    "GatewayTimeoutError": _TIMED_OUT,
    "TimeoutError": _TIMED_OUT,
    "Timeout": _TIMED_OUT,
    "ConnectionError": _CUT,
    "HTTPError": _CUT,
    "RequestException": _CUT,
}


def _said(error: BaseException) -> _Said:
    numbered = _SAID.get(number_of(error)) or (_NO_PRIVILEGE if lacks_privilege(error) else None)
    return numbered or _said_in(words_of(error)) or _said_by_kind(error) or _OTHER


def _said_in(words: str) -> _Said | None:
    return next((said for pattern, said in _WORDS if re.search(pattern, words, re.IGNORECASE)), None)


def _said_by_kind(error: BaseException) -> _Said | None:
    kinds = {kind.__name__ for candidate in _chain(error) for kind in type(candidate).__mro__}
    said = next((said for name, said in _KINDS.items() if name in kinds), None)
    # The connector has one number for whatever keeps it from signing in.
    return said or (_UNREACHABLE if number_of(error) == 250001 else None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps: Snowflake ML and SQLAlchemy keep the server's in `orig` or as the cause."""
    seen: list[BaseException] = []
    pending: list[object] = [error]
    while pending:
        candidate = pending.pop(0)
        if isinstance(candidate, BaseException) and candidate not in seen:
            seen.append(candidate)
            yield candidate
            inner = (getattr(candidate, name, None) for name in ("orig", "original_exception", "cause", "conn_error"))
            pending += [*inner, candidate.__cause__]


def words_of(error: BaseException) -> str:
    """The library's own words in one line, without number, query id, and what is secret."""
    text = next(
        (
            str(words)
            for candidate in (error, *list(_chain(error))[1:])
            for words in (getattr(candidate, "msg", None), getattr(candidate, "message", None), candidate)
            if words is not None and str(words)
        ),
        type(error).__name__,
    )
    line = " ".join(_without_secrets(text).split())
    line = re.sub(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{18,}: ", "", line)
    line = re.sub(r"^(\(\d+\): )?\d{6}( \(\w+\))?: ", "", line)
    line = re.sub(r"^SQL (compilation|access control) error: ?", "", line).rstrip(".")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST].rstrip()} ..."


def _without_secrets(text: str) -> str:
    for name in _SECRETS:
        secret = os.environ.get(f"SNOWFLAKE_{name}")
        if secret:
            text = text.replace(secret, "***")
    text = re.sub(r"\beyJ[\w-]{8,}\.[\w.-]+", "***", text)  # JSON Web Tokens
    return re.sub(
        r"(?i)(\b\w*(?:token|password|passcode|pwd|secret)\w*['\"]?\s*[=:]\s*)(['\"]?)[^\s'\",;&]+", r"\1\2***", text
    )
