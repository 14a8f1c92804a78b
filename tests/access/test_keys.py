from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from copperline.access import (
    KeyRing,
    Scope,
    create_key,
    find,
    keys_exist,
    list_keys,
    revoke_key,
    see_key_used,
)
from copperline.errors import NotFoundError, SettingsError
from copperline.warehouse import open_warehouse, read_transaction
from copperline.warehouse.line_tables import api_keys, audit_log


def test_a_key_is_found_by_its_text_alone(engine: Engine) -> None:
    text, key = create_key(engine, "AOI-1", [Scope.INSPECT], created_by="ann")
    other, _ = create_key(engine, "AOI-2", [Scope.REVIEW, Scope.INSPECT], created_by="ann")
    assert text.startswith(f"cpl_{key.key_id}_")
    assert find(engine, text) == key
    found = find(engine, other)
    assert found is not None
    assert (found.name, found.scopes) == ("AOI-2", {Scope.INSPECT, Scope.REVIEW})
    assert (found.principal.name, found.principal.key_id) == ("AOI-2", found.key_id)


def test_secrets_have_256_bits_and_differ(engine: Engine) -> None:
    secrets = {create_key(engine, "x", [Scope.ADMIN], created_by="ann")[0].split("_", 2)[2] for _ in range(20)}
    assert len(secrets) == 20
    assert {len(secret) for secret in secrets} == {43}  # 43 letters of 6 bits hold 256


def test_only_a_hash_of_the_secret_is_kept(engine: Engine) -> None:
    text, key = create_key(engine, "AOI-1", [Scope.INSPECT], created_by="ann")
    secret = text.split("_", 2)[2]
    with read_transaction(engine) as connection:
        row = connection.execute(select(api_keys)).mappings().one()
        logged = connection.execute(select(audit_log)).mappings().one()
    assert row["secret_sha256"] == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str([dict(row), dict(logged)])
    assert secret not in repr(key)


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    """Of one key."""
    engine = open_warehouse(f"sqlite:///{tmp_path_factory.mktemp('ring') / 'warehouse.db'}")
    create_key(engine, "AOI-1", [Scope.INSPECT], created_by="ann")
    found = KeyRing(engine)
    engine.dispose()
    return found


@given(text=st.one_of(st.text(max_size=80), st.from_regex(r"cpl_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", fullmatch=True)))
def test_no_other_text_is_a_key(ring: KeyRing, text: str) -> None:
    assert len(ring) == 1
    assert ring.find(text) is None


@pytest.mark.parametrize("change", ["{}x", "{}\n", " {}", "CPL{}", "{}"])
def test_a_key_that_is_changed_is_none(engine: Engine, change: str) -> None:
    text, key = create_key(engine, "AOI-1", [Scope.INSPECT], created_by="ann")
    assert find(engine, change.format(text)) == (key if change == "{}" else None)
    assert find(engine, text.replace(key.key_id, "0" * 12)) is None
    wrong = text[:-43] + "A" * 43
    assert (find(engine, wrong), KeyRing(engine).name_in(wrong)) == (None, "AOI-1")


def test_a_key_ends_at_its_time(engine: Engine) -> None:
    _, key = create_key(engine, "AOI-1", [Scope.INSPECT], created_by="ann", lifetime=timedelta(days=90))
    assert key.expires_at == key.created_at + timedelta(days=90)
    assert key.state(key.created_at) == "valid"
    assert key.state(key.expires_at - timedelta(microseconds=1)) == "valid"
    assert key.state(key.expires_at) == "expired"
    assert list_keys(engine) == (key,)


def test_revoking_is_recorded_once_and_the_key_stays_in_the_list(engine: Engine) -> None:
    text, key = create_key(engine, "AOI-1", [Scope.INSPECT], created_by="ann")
    revoked = revoke_key(engine, key.key_id, revoked_by="bo")
    assert revoke_key(engine, key.key_id, revoked_by="cy") == revoked
    found = find(engine, text)
    assert found is not None
    assert found.state(datetime.now(UTC)) == "revoked"
    assert [k.key_id for k in list_keys(engine)] == [key.key_id]
    assert list_keys(engine, revoked=False) == ()
    with read_transaction(engine) as connection:
        rows = connection.execute(select(audit_log).order_by(audit_log.c.at)).mappings().all()
    assert [(row["actor"], row["action"], row["subject"]) for row in rows] == [
        ("ann", "key.created", key.key_id),
        ("bo", "key.revoked", key.key_id),
    ]
    assert json.loads(rows[0]["detail"]) == {"name": "AOI-1", "scopes": "inspect"}


def test_a_key_that_is_not_there_cannot_be_revoked(engine: Engine) -> None:
    with pytest.raises(NotFoundError, match="keys list"):
        revoke_key(engine, "0123456789ab", revoked_by="bo")


def test_a_revoked_key_still_counts_as_one(engine: Engine) -> None:
    assert not keys_exist(engine)
    _, key = create_key(engine, "AOI-1", [Scope.INSPECT], created_by="ann")
    revoke_key(engine, key.key_id, revoked_by="bo")
    assert keys_exist(engine)
    assert len(KeyRing(engine)) == 1


@pytest.mark.parametrize("name", ["", "  ", " a", "a\n", "a\x00b", "x" * 256, "\u202eevil"])
def test_a_name_that_cannot_be_shown_is_refused(engine: Engine, name: str) -> None:
    with pytest.raises(SettingsError, match="printable"):
        create_key(engine, name, [Scope.INSPECT], created_by="ann")
    assert not keys_exist(engine)


def test_a_key_for_nothing_or_for_no_time_is_refused(engine: Engine) -> None:
    with pytest.raises(SettingsError, match="at least one scope"):
        create_key(engine, "AOI-1", [], created_by="ann")
    with pytest.raises(SettingsError, match="lifetime above 0"):
        create_key(engine, "AOI-1", [Scope.INSPECT], created_by="ann", lifetime=timedelta(0))


def test_the_last_use_only_moves_forward_and_by_minutes(engine: Engine) -> None:
    _, key = create_key(engine, "AOI-1", [Scope.INSPECT], created_by="ann")
    noon = datetime(2026, 3, 1, 12, 0, 42, tzinfo=UTC)
    for at in (noon, noon + timedelta(seconds=10), noon - timedelta(hours=1)):
        see_key_used(engine, key.key_id, at)
        assert list_keys(engine)[0].last_used_at == noon.replace(second=0)
    see_key_used(engine, key.key_id, noon + timedelta(minutes=2))
    assert list_keys(engine)[0].last_used_at == noon.replace(second=0, minute=2)


def test_a_scope_of_a_newer_version_opens_nothing(engine: Engine) -> None:
    text, _ = create_key(engine, "AOI-1", [Scope.INSPECT], created_by="ann")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE api_keys SET scopes = 'inspect fly'")
    found = find(engine, text)
    assert found is not None
    assert found.scopes == {Scope.INSPECT}
