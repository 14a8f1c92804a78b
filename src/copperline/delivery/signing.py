"""Signed messages by the Standard Webhooks convention: symmetric, HMAC-SHA256 (`v1`).

Signed is `id.timestamp.body`, so a message can be neither changed nor sent again later. A sender that is changing its
secret signs with both, and a receiver accepts a message if one of its signatures is right.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

from copperline.errors import SettingsError

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX = "whsec_"
TOLERANCE_S = 300


def signed_headers(message_id: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The three headers; without a secret, the first two.

    Args:
        timestamp: seconds since 1970 of this try.
        secrets: `whsec_` and base64, the present one first.

    Raises:
        SettingsError: a secret has another form.
    """
    headers = {ID: message_id, TIMESTAMP: str(timestamp)}
    if secrets:
        signatures = (_signature(message_id, str(timestamp), body, secret) for secret in secrets)
        headers[SIGNATURE] = " ".join(f"v1,{signature}" for signature in signatures)
    return headers


def verify_signature(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    *,
    now: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> bool:
    """Whether a message is of a holder of one of the secrets, and recent: for receivers of webhooks.

    Keep its `webhook-id` for as long as the tolerance, and drop what comes with it again.

    Args:
        headers: of the request; case of their names does not matter.
        body: as received, before any parsing.
        secrets: those that the receiver accepts, `whsec_` and base64.
        now: seconds since 1970; None: this machine's clock.
        tolerance_s: how far the timestamp may be from `now`.

    Raises:
        SettingsError: a secret has another form.

    >>> secret = "whsec_" + base64.b64encode(bytes(24)).decode()
    >>> headers = signed_headers("E1", 1_700_000_000, b"{}", [secret])
    >>> verify_signature(headers, b"{}", [secret], now=1_700_000_010)
    True
    >>> verify_signature(headers, b"[]", [secret], now=1_700_000_010)
    False
    >>> verify_signature(headers, b"{}", [secret], now=1_700_001_000)
    False
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp, signatures = (given.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not (message_id and timestamp.isascii() and timestamp.isdigit()):
        return False
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance_s:
        return False
    found = [part.removeprefix("v1,").encode() for part in signatures.split() if part.startswith("v1,")]
    wanted = [_signature(message_id, timestamp, body, secret).encode() for secret in secrets]
    # All of them are compared, always: how long it takes tells nothing.
    return sum(hmac.compare_digest(one, other) for one in found for other in wanted) > 0


def require_secret(secret: str, where: str) -> str:
    """The secret, if it has the form that is signed with; the error does not repeat it."""
    _key(secret, where)
    return secret


def _signature(message_id: str, timestamp: str, body: bytes, secret: str) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def _key(secret: str, where: str | None = None) -> bytes:
    try:
        key = base64.b64decode(secret.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.strip().startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise SettingsError(
            f"expected a secret of {PREFIX} and 24 to 64 bytes in base64, found something else",
            where=where,
            fix='make one, such as "whsec_$(openssl rand -base64 32)"',
        )
    return key
