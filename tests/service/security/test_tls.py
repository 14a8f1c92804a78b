"""TLS with certificates made here, over real connections."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest

from copperline.errors import SettingsError
from copperline.service import tls
from copperline.service.tls import TlsFiles

pytest.importorskip("cryptography", reason="makes the certificates")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Made:
    certificate: Path
    key: Path
    private: ec.EllipticCurvePrivateKey
    signed: x509.Certificate


def make(
    folder: Path,
    name: str,
    issuer: Made | None = None,
    *,
    begins: datetime = NOW - timedelta(days=2),
    days: int = 30,
    password: bytes | None = None,
) -> Made:
    """A certificate for 127.0.0.1, signed by itself or by `issuer`."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.signed.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(private if issuer is None else issuer.private, hashes.SHA256())
    )
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, form, encryption))
    return Made(certificate, key, private, signed)


def client(ca: Made, own: Made | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca.certificate))
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


def ask(port: int, context: ssl.SSLContext) -> httpx.Response:
    return httpx.get(f"https://127.0.0.1:{port}/who", verify=context, trust_env=False)


def test_requests_are_answered_over_tls(serve: Callable[..., Any], tmp_path: Path) -> None:
    ca = make(tmp_path, "ca")
    own = make(tmp_path, "server", ca)
    files = TlsFiles(own.certificate, own.key)
    files.check()
    served = serve(server={"tls": files})
    assert ask(served.port, client(ca)).json()["name"] == "local"
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        ask(served.port, ssl.create_default_context())
    with served.connect() as plain:
        plain.sendall(b"GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" not in served.until_closed(plain).raw


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
def test_old_versions_are_refused(serve: Callable[..., Any], tmp_path: Path) -> None:
    own = make(tmp_path, "server")
    served = serve(server={"tls": TlsFiles(own.certificate, own.key)})
    old = client(own)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError):
        ask(served.port, old)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        new = client(own)
        new.minimum_version = new.maximum_version = version
        assert ask(served.port, new).status_code == 200


def test_clients_need_a_certificate_where_that_is_asked(serve: Callable[..., Any], tmp_path: Path) -> None:
    own, ca, other = make(tmp_path, "server"), make(tmp_path, "clients"), make(tmp_path, "other")
    files = TlsFiles(own.certificate, own.key, ca.certificate)
    files.check()
    served = serve(server={"tls": files})
    assert ask(served.port, client(own, make(tmp_path, "station", ca))).status_code == 200
    for stranger in (None, make(tmp_path, "stranger", other)):
        with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
            ask(served.port, client(own, stranger))


def test_a_handshake_that_does_not_go_on_ends(
    serve: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 0.5)
    own = make(tmp_path, "server")
    served = serve(server={"tls": TlsFiles(own.certificate, own.key)})
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01")
        assert served.until_closed(connection).raw == b""
    assert time.monotonic() - began < 8


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    own = make(tmp_path, "server")
    with pytest.raises(SettingsError, match="No such file"):
        TlsFiles(tmp_path / "none.pem", own.key).check()
    with pytest.raises(SettingsError, match="No such file"):
        TlsFiles(own.certificate, own.key, tmp_path / "none.pem").check()


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"expected the key of .*one\.pem, found another"):
        TlsFiles(make(tmp_path, "one").certificate, make(tmp_path, "two").key).check()


def test_a_key_with_a_password_is_refused_without_asking_for_it(tmp_path: Path) -> None:
    own = make(tmp_path, "server", password=b"secret")
    with pytest.raises(SettingsError, match="not encrypted, found one that is"):
        TlsFiles(own.certificate, own.key).check()


def test_a_certificate_out_of_its_time(tmp_path: Path) -> None:
    old = make(tmp_path, "old", begins=NOW - timedelta(days=9), days=8)
    with pytest.raises(SettingsError, match="one that has expired"):
        TlsFiles(old.certificate, old.key).check()
    early = make(tmp_path, "early", begins=NOW + timedelta(days=1))
    with pytest.raises(SettingsError, match="one that is not valid yet"):
        TlsFiles(early.certificate, early.key).check()


def test_files_of_another_kind(tmp_path: Path) -> None:
    own = make(tmp_path, "server")
    der = tmp_path / "server.der"
    der.write_bytes(own.signed.public_bytes(serialization.Encoding.DER))
    with pytest.raises(SettingsError, match=r"expected PEM .* found another kind"):
        TlsFiles(der, own.key).check()
    with pytest.raises(SettingsError, match=r"server\.key: expected PEM that can be used"):
        TlsFiles(own.key, own.key).check()
    broken = tmp_path / "broken.key"
    broken.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(SettingsError, match=r"broken\.key: expected PEM that can be used"):
        TlsFiles(own.certificate, broken).check()
    with pytest.raises(SettingsError, match="found another kind of file"):
        TlsFiles(own.certificate, own.key, own.key).check()


def test_the_two_options_belong_together(tmp_path: Path) -> None:
    assert TlsFiles.of(None, None) is None
    with pytest.raises(SettingsError, match="give both"):
        TlsFiles.of(tmp_path / "a", None)
    with pytest.raises(SettingsError, match="give both"):
        TlsFiles.of(None, None, tmp_path / "a")
