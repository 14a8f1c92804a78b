"""TLS of the service: certificate, key and, where clients need certificates too, who signs theirs."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copperline.errors import SettingsError

# asyncio waits a minute, and connections are counted only after it.
HANDSHAKE_SECONDS = 10.0
_NOT_YET_VALID, _EXPIRED = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Attributes:
    certificate: PEM: the server's, then those that it is signed by up to, without, the root.
    key: PEM, not encrypted.
    client_ca: PEM: who signs the certificates of clients, each of which then needs one; None: none does.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @classmethod
    def of(cls, certificate: Path | None, key: Path | None, client_ca: Path | None = None) -> TlsFiles | None:
        """From the options of a command; None: no TLS. Raises SettingsError if one is missing."""
        if certificate is None and key is None and client_ca is None:
            return None
        if certificate is None or key is None:
            raise SettingsError(
                "expected a certificate and its key, found one of them or neither",
                where="--tls-cert, --tls-key",
                fix="give both",
            )
        return cls(certificate, key, client_ca)

    def check(self) -> None:
        """Before the server starts.

        Raises:
            SettingsError: a file is missing or not PEM, the key is encrypted or of another certificate, or the
                certificate has expired, is not valid yet or is not for servers.
        """
        for path in (self.certificate, self.key, self.client_ca):
            if path is not None:
                _require_pem(path)
        _require_valid_now(self._context(), self.certificate)

    def uvicorn_options(self) -> dict[str, Any]:
        """For `uvicorn.Config`. TLS 1.2 is the least."""

        def context(_config: object, _default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
            return self._context()

        return {"ssl_context_factory": context, "loop": new_event_loop}

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # Without a password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except ssl.SSLError as error:
            raise self._does_not_fit(error) from error
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except ssl.SSLError as error:
                raise _no_pem(self.client_ca) from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _does_not_fit(self, error: ssl.SSLError) -> SettingsError:
        if error.reason == "KEY_VALUES_MISMATCH":
            return SettingsError(
                f"expected the key of {self.certificate}, found another", where=self.key, fix="give the two together"
            )
        if "ENCRYPTED" in self.key.read_text(errors="replace"):
            return SettingsError(
                "expected a key that is not encrypted, found one that is",
                where=self.key,
                fix="write it without a password (openssl pkey -in KEY -out PLAIN), readable for the service alone",
            )
        no_certificate = "BEGIN CERTIFICATE" not in self.certificate.read_text(errors="replace")
        return SettingsError(
            f"expected PEM that can be used, found a mistake ({error.reason or error})",
            where=self.certificate if no_certificate else self.key,
            fix="export it again",
        )


def new_event_loop() -> asyncio.AbstractEventLoop:
    """As uvicorn makes one, but TLS handshakes have to end within `HANDSHAKE_SECONDS`."""
    try:
        import uvloop

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    except ImportError:  # it is optional
        loop = asyncio.new_event_loop()
    create = loop.create_server

    @functools.wraps(create)
    async def create_server(*args: Any, **options: Any) -> asyncio.Server:
        if options.get("ssl") is not None:
            options.setdefault("ssl_handshake_timeout", HANDSHAKE_SECONDS)
        return await create(*args, **options)

    loop.create_server = create_server  # type: ignore[method-assign]
    return loop


def _require_pem(path: Path) -> None:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"expected a PEM file, found that it cannot be read ({error.strerror})", where=path, fix="check the path"
        ) from error
    if b"-----BEGIN " not in data:
        raise _no_pem(path)


def _no_pem(path: Path) -> SettingsError:
    return SettingsError(
        "expected PEM (-----BEGIN ...-----), found another kind of file", where=path, fix="convert it with openssl"
    )


def _require_valid_now(server: ssl.SSLContext, certificate: Path) -> None:
    """By a handshake in memory with a client that trusts this very certificate: what it minds, others will too."""
    pem = certificate.read_text(encoding="ascii", errors="replace")
    begin, end = pem.index("-----BEGIN CERTIFICATE"), "-----END CERTIFICATE-----"
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cadata=pem[begin : pem.index(end, begin) + len(end)] + "\n")
    server.verify_mode = ssl.CERT_NONE
    from_server, from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client.wrap_bio(from_server, from_client)
    server_side = server.wrap_bio(from_client, from_server, server_side=True)
    for side in (client_side, server_side, client_side):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            raise _unusable(certificate, error) from error


def _unusable(certificate: Path, error: ssl.SSLCertVerificationError) -> SettingsError:
    found = {_EXPIRED: "one that has expired", _NOT_YET_VALID: "one that is not valid yet"}
    return SettingsError(
        "expected a certificate that clients accept today, found "
        + found.get(error.verify_code, f"one that they refuse ({error.verify_message})"),
        where=certificate,
        fix="have it made anew, or set the clock of this machine",
    )
