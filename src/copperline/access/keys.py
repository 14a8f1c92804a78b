"""Who asks, and what they may do: keys of the HTTP service, in the table api_keys.

A key is `cpl_KEYID_SECRET`. Its secret has 256 random bits and is kept as one SHA-256, not as a slow hash such as
Argon2: slow hashes make up for passwords that people choose and that can be guessed. Nobody guesses 256 random bits,
however fast the hash, and a slow one on every request would only be a way to keep the service busy.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import Engine, RowMapping, func, insert, or_, select, update

from copperline.access.audit import Action, record_in
from copperline.access.principals import Principal, Scope
from copperline.errors import NotFoundError, SettingsError
from copperline.warehouse import place, read_transaction, write_transaction
from copperline.warehouse.line_tables import api_keys

_TEXT = re.compile(r"cpl_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_LONGEST_NAME = 255

State = Literal["valid", "revoked", "expired"]


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; its secret is not.

    Attributes:
        key_id: 12 hexadecimal digits, the public part.
        name: of the person or machine that uses it.
        created_at, expires_at, revoked_at: UTC; None: never.
        last_used_at: UTC, to the minute; None: never.
    """

    key_id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def state(self, now: datetime) -> State:
        """Whether it opens anything at `now`, an aware datetime."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"

    @property
    def principal(self) -> Principal:
        return Principal(self.name, self.scopes, self.key_id)


def create_key(
    engine: Engine, name: str, scopes: Iterable[Scope], *, created_by: str, lifetime: timedelta | None = None
) -> tuple[str, Key]:
    """Makes a key and records it in the audit log, in one transaction.

    Args:
        name: of the person or machine that uses it. Two keys may have one name, so that a new one can take over
            before the old one is revoked.
        lifetime: after which it opens nothing; None: it never expires.

    Returns:
        The text of the key, which is kept nowhere and cannot be shown again, and what is known of it.

    Raises:
        SettingsError: the name or the lifetime cannot be used, or there is no scope.
    """
    _check(name, lifetime)
    chosen = frozenset(scopes)
    if not chosen:
        raise SettingsError("expected at least one scope, found none", fix=f"give one of {', '.join(Scope)}")
    now = datetime.now(UTC)
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = Key(key_id, name, chosen, now, created_by, None if lifetime is None else now + lifetime)
    row = {
        "key_id": key_id,
        "name": name,
        "secret_sha256": _sha256(secret),
        "scopes": scope_text(chosen),
        "created_at": now,
        "created_by": created_by,
        "expires_at": key.expires_at,
    }
    detail = {"name": name, "scopes": scope_text(chosen), "expires_at": key.expires_at}
    with write_transaction(engine) as connection:
        connection.execute(insert(api_keys).values(row))
        record_in(connection, created_by, Action.KEY_CREATED, key_id, detail)
    return f"cpl_{key_id}_{secret}", key


def list_keys(engine: Engine, *, revoked: bool = True) -> tuple[Key, ...]:
    """The oldest first; without `revoked` only those that are not."""
    query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)
    with read_transaction(engine) as connection:
        keys = [_key(row) for row in connection.execute(query).mappings()]
    return tuple(key for key in keys if revoked or key.revoked_at is None)


def revoke_key(engine: Engine, key_id: str, *, revoked_by: str) -> Key:
    """From now on the key opens nothing; recorded in the audit log. A key that is revoked stays as it is.

    Raises:
        NotFoundError: there is no such key.
    """
    with write_transaction(engine) as connection:
        changed = connection.execute(
            update(api_keys)
            .where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None))
            .values(revoked_at=datetime.now(UTC))
        )
        row = connection.execute(select(api_keys).where(api_keys.c.key_id == key_id)).mappings().one_or_none()
        if row is None:
            raise NotFoundError(
                f"expected a key, found no {key_id!r}",
                where=place(engine.url),
                fix="give the KEY_ID of `copperline keys list`",
            )
        if changed.rowcount:
            record_in(connection, revoked_by, Action.KEY_REVOKED, key_id, {"name": row["name"]})
    return _key(row)


def see_key_used(engine: Engine, key_id: str, at: datetime) -> None:
    """Notes when the key was last used, to the minute, so that it is one write a minute and not one a request."""
    minute = at.astimezone(UTC).replace(second=0, microsecond=0)
    older = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < minute)
    with write_transaction(engine) as connection:
        connection.execute(update(api_keys).where(api_keys.c.key_id == key_id, older).values(last_used_at=minute))


def keys_exist(engine: Engine) -> bool:
    """Whether a key was ever made. One that is revoked or expired counts: revoking the last must open no door."""
    with read_transaction(engine) as connection:
        return bool(connection.execute(select(func.count()).select_from(api_keys)).scalar())


class KeyRing:
    """All keys at one moment, to check many requests without asking the database for each."""

    def __init__(self, engine: Engine) -> None:
        with read_transaction(engine) as connection:
            rows = connection.execute(select(api_keys)).mappings().all()
        self._keys = {str(row["key_id"]): (str(row["secret_sha256"]), _key(row)) for row in rows}

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, text: str) -> Key | None:
        """The key that `text` is, valid or not; None: it is none. In constant time for keys of one id."""
        match = _TEXT.fullmatch(text)
        if match is None or match[1] not in self._keys:
            return None
        secret_sha256, key = self._keys[match[1]]
        return key if hmac.compare_digest(secret_sha256, _sha256(match[2])) else None

    def name_in(self, text: str) -> str | None:
        """For logs: the name of the key that `text` claims to be, right or not; None: there is no such key."""
        match = _TEXT.fullmatch(text)
        return None if match is None or match[1] not in self._keys else self._keys[match[1]][1].name


def find(engine: Engine, text: str) -> Key | None:
    """The key that `text` is, valid or not; None: it is none."""
    return KeyRing(engine).find(text)


def scope_text(scopes: Iterable[Scope]) -> str:
    """As in the table.

    >>> scope_text({Scope.REVIEW, Scope.INSPECT})
    'inspect review'
    """
    chosen = set(scopes)
    return " ".join(scope.value for scope in Scope if scope in chosen)


def _check(name: str, lifetime: timedelta | None) -> None:
    if not name.strip() or name != name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise SettingsError(
            f"expected a name of 1 to {_LONGEST_NAME} printable characters, found {name[:40]!r}",
            fix="name the person or machine that uses the key",
        )
    if lifetime is not None and lifetime <= timedelta(0):
        raise SettingsError(f"expected a lifetime above 0, found {lifetime}", fix="give one such as 90d")


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: RowMapping) -> Key:
    # A scope that a newer Copperline knows opens nothing here.
    scopes = frozenset(Scope(word) for word in row["scopes"].split() if word in list(Scope))
    times = {name: row[name] for name in ("created_at", "expires_at", "revoked_at", "last_used_at")}
    return Key(key_id=row["key_id"], name=row["name"], scopes=scopes, created_by=row["created_by"], **times)
