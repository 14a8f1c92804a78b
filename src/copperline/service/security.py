"""Who may ask the service for what: keys, scopes, and how often.

`app.state.gate = Gate(...)`; each route that is not for everybody depends on `allow(...)`, and `KeyFirst` keeps the
bodies of strangers out.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from copperline.access import Key, KeyRing, Principal, Scope, keys_exist, scope_text
from copperline.errors import CopperlineError, SettingsError
from copperline.service.access_trail import AccessTrail
from copperline.service.buckets import TokenBuckets, network_of
from copperline.service.local_access import SAFE_METHODS, is_loopback, refuse_strangers
from copperline.service.problems import Problem, problem_of

# What the OpenAPI document shows; the gate itself reads the headers.
BEARER = HTTPBearer(auto_error=False, scheme_name="ApiKey", description="A key of `copperline keys create`")
API_KEY = APIKeyHeader(
    name="X-API-Key",
    auto_error=False,
    scheme_name="ApiKeyHeader",
    description="The same key, for machines without Bearer",
)

LOCAL = Principal("local", frozenset(Scope))

KEYS_SECONDS = 2.0
_KNOWN = "copperline.principal"
_FAILURES, _FAILURES_A_SECOND = 10, 1 / 6
_REMEMBERED = 4096
_UNKNOWN = "unknown key"


def require_keys(engine: Engine, host: str, *, open_to_network: bool = False) -> None:
    """Before the server starts: no service without keys where others can reach it.

    Args:
        host: that the server is to listen on.
        open_to_network: somebody wants it open all the same.

    Raises:
        SettingsError: `host` is no loopback address and there is no key.
    """
    if not is_loopback(host) and not open_to_network and not keys_exist(engine):
        raise SettingsError(
            f"expected a key before the service listens on {host}, where others can reach it, found none",
            fix="make one with `copperline keys create NAME --scope inspect`, or listen on 127.0.0.1",
        )


class Gate:
    """Checks each request: made once for an app.

    Without any key, on loopback, whoever asks from this machine is `LOCAL` and may do everything; as soon as a key was
    made, every request needs one. Keys are read again when what is known of them is `keys_seconds` old: for so long a
    revoked key still works, and a new one does not yet.

    Args:
        host: that the server listens on.
        rate_limit: requests a second for each key, or where none is needed each address; 0: any number.
        rate_burst: that may come at once.
        open_to_network: without keys answer on any host.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        host: str,
        rate_limit: float = 0.0,
        rate_burst: int = 20,
        open_to_network: bool = False,
        keys_seconds: float = KEYS_SECONDS,
    ) -> None:
        self._engine = engine
        self._loopback = is_loopback(host)
        self._may_be_open = self._loopback or open_to_network
        self._requests = TokenBuckets(rate_limit, rate_burst) if rate_limit else None
        self._failures = TokenBuckets(_FAILURES_A_SECOND, _FAILURES)
        self._trail = AccessTrail(engine)
        self._keys_seconds = keys_seconds
        self._ring: KeyRing | CopperlineError | None = None
        self._read_at = 0.0
        self._reading = asyncio.Lock()
        # Address and hash of keys that opened: they go on to where others of this address fail too often.
        self._opened: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    async def admit(self, request: Request, scopes: tuple[Scope, ...] = ()) -> Principal:
        """As `identify`, if who asks has one of `scopes`; with none any valid key will do. Else raises Problem 403."""
        principal = await self.identify(request)
        self._check_scopes(principal, scopes, address_of(request))
        return principal

    async def identify(self, request: Request) -> Principal:
        """Who asks; also kept as `request.state.principal`. Asked again for the same request it does not count twice.

        Raises:
            Problem: 401 without a valid key, 403 for what only this machine may do, 429 too often, 503 the keys cannot
                be read.
        """
        known: Principal | None = request.scope.get(_KNOWN)
        if known is not None:
            return known
        address = address_of(request)
        ring = await self._keys()
        key = None
        if len(ring) or not self._may_be_open:
            key = self._valid_key(ring, request.headers, address)
        else:
            self._check_local(request, address)
        principal = LOCAL if key is None else key.principal
        self._check_rate(principal, address)
        if key is not None:
            self._trail.used(key, address)
        request.scope[_KNOWN] = request.state.principal = principal
        return principal

    async def close(self) -> None:
        """When the app ends: writes what is not in the audit log yet."""
        await self._trail.close()

    async def _keys(self) -> KeyRing:
        async with self._reading:
            now = time.monotonic()
            if self._ring is None or now - self._read_at > self._keys_seconds:
                try:
                    self._ring = await run_in_threadpool(KeyRing, self._engine)
                except CopperlineError as error:
                    # Told to all who ask until the next try: each trying by itself would wait for the ones before it.
                    self._ring = error
                self._read_at = now
            if isinstance(self._ring, CopperlineError):
                raise problem_of(self._ring) from self._ring
            return self._ring

    def _valid_key(self, ring: KeyRing, headers: Mapping[str, str], address: str) -> Key:
        text = _sent_key(headers)
        if text is None:
            self._trail.refused("nobody", address, "no key")
            raise _unauthorized("expected a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`, found none")
        network = network_of(address)
        opened = (address, hashlib.sha256(text.encode()).digest())
        if opened not in self._opened and (wait := self._failures.wait(network)):
            # Not even looked at, so that trying on is of no use.
            self._trail.refused(ring.name_in(text) or _UNKNOWN, address, "too many failures")
            raise _too_many("too-many-failures", "Too many keys from this address were not valid", wait)
        key = ring.find(text)
        state = "unknown" if key is None else key.state(datetime.now(UTC))
        if key is None or state != "valid":
            self._opened.pop(opened, None)
            self._failures.take(network)
            self._trail.refused(ring.name_in(text) or _UNKNOWN, address, f"{state} key")
            raise _unauthorized(f"expected a valid key, found one that is {state}", error="invalid_token")
        self._opened[opened] = None
        self._opened.move_to_end(opened)
        if len(self._opened) > _REMEMBERED:
            self._opened.popitem(last=False)
        return key

    def _check_local(self, request: Request, address: str) -> None:
        try:
            refuse_strangers(request.method, request.headers, loopback=self._loopback)
        except Problem:
            self._trail.refused("nobody", address, "not local")
            raise

    def _check_rate(self, principal: Principal, address: str) -> None:
        if self._requests is not None and (wait := self._requests.take(principal.key_id or network_of(address))):
            self._trail.refused(principal.name, address, "too many requests")
            raise _too_many("too-many-requests", "This key makes too many requests", wait)

    def _check_scopes(self, principal: Principal, scopes: tuple[Scope, ...], address: str) -> None:
        if not scopes or principal.scopes.intersection(scopes):
            return
        needed = scope_text(scopes)
        self._trail.refused(principal.name, address, f"no scope {needed}")
        raise Problem(
            403,
            "scope-missing",
            "The key is not good for this",
            f"expected a key with the scope {needed.replace(' ', ' or ')}, found one with "
            f"{scope_text(principal.scopes).replace(' ', ', ') or 'none'}; "
            "make one with `copperline keys create NAME --scope SCOPE`",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'},
            needed_scopes=needed.split(),
        )


class KeyFirst:
    """ASGI middleware: who may not ask at all is told so before the body is read.

    FastAPI reads the body that a route declares before it runs `allow`: a stranger could fill memory and temporary
    files up to their limits. Only for requests that can have a body; no such route is for everybody.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            gate: Gate = scope["app"].state.gate
            try:
                await gate.identify(Request(scope))
            except Problem as problem:
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


def allow(*scopes: Scope) -> Callable[..., Awaitable[Principal]]:
    """The dependency of a route that needs one of `scopes`, or with none any valid key."""

    async def admitted(
        request: Request,
        _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)] = None,
        _api_key: Annotated[str | None, Security(API_KEY)] = None,
    ) -> Principal:
        gate: Gate = request.app.state.gate
        return await gate.admit(request, scopes)

    return admitted


def address_of(request: Request) -> str:
    """The remote address, for logs and limits; behind a proxy the one that it tells, if the server trusts it."""
    return request.client.host if request.client is not None else "unknown"


def _sent_key(headers: Mapping[str, str]) -> str | None:
    """The text after Bearer, else X-API-Key; None: neither."""
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme:
        return text.strip() if scheme.lower() == "bearer" else None
    return headers.get("x-api-key", "").strip() or None


def _unauthorized(detail: str, *, error: str | None = None) -> Problem:
    challenge = 'Bearer realm="copperline"' + (f', error="{error}"' if error else "")
    return Problem(401, "no-valid-key", "A key is needed", detail, headers={"WWW-Authenticate": challenge})


def _too_many(kind: str, title: str, wait: float) -> Problem:
    seconds = max(1, math.ceil(wait))
    detail = f"expected fewer; try again in {seconds} s"
    return Problem(429, kind, title, detail, headers={"Retry-After": str(seconds)})
