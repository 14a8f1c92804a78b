"""Signatures are those of the Standard Webhooks convention, and nothing else passes."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copperline.delivery.signing import SIGNATURE, TIMESTAMP, signed_headers, verify_signature
from copperline.errors import SettingsError

SECRET, OTHER, THIRD = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
NOW = 1_700_000_000


def test_the_signature_is_that_of_an_independent_computation() -> None:
    headers = signed_headers("msg_1", NOW, b'{"a": 1}', [SECRET])
    wanted = hmac.new(bytes([1]) * 32, b'msg_1.1700000000.{"a": 1}', hashlib.sha256).digest()
    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1," + base64.b64encode(wanted).decode(),
    }


def test_the_example_of_the_convention() -> None:
    """The test vector that the convention's own libraries use."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, [secret])
    assert headers[SIGNATURE] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_changes_both_are_accepted() -> None:
    both = signed_headers("E1", NOW, b"{}", [OTHER, SECRET])
    assert verify_signature(both, b"{}", [SECRET], now=NOW)
    assert verify_signature(both, b"{}", [OTHER], now=NOW)
    assert not verify_signature(both, b"{}", [THIRD], now=NOW)
    assert verify_signature(signed_headers("E1", NOW, b"{}", [SECRET]), b"{}", [THIRD, SECRET], now=NOW)


@given(st.binary(max_size=50), st.binary(max_size=50), st.integers(-1000, 1000))
def test_only_the_same_body_in_time_passes(body: bytes, other: bytes, late: int) -> None:
    headers = signed_headers("E1", NOW, body, [SECRET])
    assert verify_signature(headers, other, [SECRET], now=NOW + late) == (body == other and abs(late) <= 300)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": "E2"},
        {"webhook-id": ""},
        {TIMESTAMP: str(NOW + 1)},
        {TIMESTAMP: "now"},
        {TIMESTAMP: "-5"},
        {TIMESTAMP: "²"},
        {SIGNATURE: ""},
        {SIGNATURE: "v1,"},
        {SIGNATURE: "v1a,AAAA"},
        {SIGNATURE: "v1,ü"},
    ],
)
def test_what_is_changed_does_not_pass(changes: dict[str, str]) -> None:
    headers = signed_headers("E1", NOW, b"{}", [SECRET])
    assert not verify_signature({**headers, **changes}, b"{}", [SECRET], now=NOW)
    assert verify_signature({k.title(): v for k, v in headers.items()}, b"{}", [SECRET], now=NOW)


@pytest.mark.parametrize("secret", ["", "secret", "whsec_", "whsec_AAAA", "whsec_" + "?" * 40, SECRET[6:]])
def test_a_secret_of_another_form_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(SettingsError, match="whsec_") as refused:
        signed_headers("E1", NOW, b"{}", [secret])
    assert len(secret) < 10 or secret not in str(refused.value)


def test_without_a_secret_nothing_is_signed() -> None:
    assert set(signed_headers("E1", NOW, b"{}", [])) == {"webhook-id", TIMESTAMP}
    assert not verify_signature(signed_headers("E1", NOW, b"{}", []), b"{}", [], now=NOW)
