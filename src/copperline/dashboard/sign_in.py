"""Who may look and who may decide when visitors sign in: the provider's entry in the secrets, and the claims of a user.

Streamlit speaks OpenID Connect; it reads the provider from the section `[auth]` of a secrets file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from copperline.errors import SettingsError

SECRETS = Path(".streamlit") / "secrets.toml"
KEYS = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
CALLBACK = "/oauth2callback"
# It signs the cookie that says who someone is: whoever guesses it can be anyone.
SHORTEST_SECRET = 32
# Some providers send claims as text.
_TRUE = (True, "true", "True")


def secrets_files() -> tuple[Path, Path]:
    """Where secrets are looked for: the home folder, then the working folder, which wins."""
    return Path.home() / SECRETS, Path.cwd() / SECRETS


def require_provider(files: Iterable[Path]) -> None:
    """Raises SettingsError unless the last of `files` with `[auth]` has all that signing in needs."""
    files = tuple(files)
    found: tuple[Path, Mapping[str, object]] | None = None
    for file in files:
        auth = _auth_section(file)
        if auth is not None:
            found = file, auth
    if found is None:
        raise SettingsError(
            f"setting 'dashboard_sign_in': expected [auth] in {' or '.join(map(str, files))}, found none",
            fix="write your OpenID Connect provider there, see docs/dashboard.md, or set dashboard_sign_in = false",
        )
    file, auth = found
    missing = [key for key in KEYS if not isinstance(auth.get(key), str) or not auth[key]]
    if missing:
        raise SettingsError(
            f"expected {', '.join(KEYS)} in [auth], found no {', '.join(missing)}",
            where=file,
            fix="add what your OpenID Connect provider gave you, see docs/dashboard.md",
        )
    redirect = str(auth["redirect_uri"])
    if urlsplit(redirect).scheme not in ("http", "https") or not urlsplit(redirect).path.endswith(CALLBACK):
        raise SettingsError(
            f"redirect_uri: expected the dashboard's address with {CALLBACK}, found {redirect!r}",
            where=file,
            fix=f"write it as https://HOST{CALLBACK}, word for word as at the provider",
        )
    if len(str(auth["cookie_secret"])) < SHORTEST_SECRET:
        raise SettingsError(
            f"cookie_secret: expected at least {SHORTEST_SECRET} random characters, found fewer",
            where=file,
            fix="make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )


def email_of(claims: Mapping[str, object]) -> str | None:
    """The e-mail address that the provider vouches for, else None.

    A provider that says nothing of `email_verified` (Microsoft Entra ID) is taken to know its own people; one that
    says anything but true is not.

    >>> email_of({"email": "Ann@Plant.example", "email_verified": True})
    'Ann@Plant.example'
    >>> email_of({"email": "ann@plant.example", "email_verified": False}) is None
    True
    """
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified", True) not in _TRUE:
        return None
    return email.strip() or None


def is_reviewer(claims: Mapping[str, object], reviewers: Iterable[str]) -> bool:
    """Whether these claims are of one of the `reviewers`, by verified e-mail address in any case of letters.

    >>> is_reviewer({"email": "Ann@Plant.example"}, ["ann@plant.example"])
    True
    >>> is_reviewer({"sub": "ann@plant.example"}, ["ann@plant.example"])
    False
    """
    email = email_of(claims)
    return email is not None and email.casefold() in {reviewer.strip().casefold() for reviewer in reviewers}


def _auth_section(file: Path) -> Mapping[str, object] | None:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SettingsError(
            f"the secrets cannot be read ({error.strerror})", where=file, fix="check the rights on the file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # Not the text itself: it holds secrets.
        raise SettingsError("expected TOML, found a mistake", where=file, fix="correct it") from error
    auth = content.get("auth")
    return auth if isinstance(auth, Mapping) else None
