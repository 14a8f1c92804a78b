from __future__ import annotations

import json
from pathlib import Path

import pytest

from copperline.dashboard.sign_in import KEYS, SECRETS, email_of, is_reviewer, require_provider, secrets_files
from copperline.errors import SettingsError

GOOD = {
    "redirect_uri": "https://dashboard.plant.example/oauth2callback",
    "cookie_secret": "0123456789abcdef0123456789abcdef",
    "client_id": "copperline",
    "client_secret": "s",
    "server_metadata_url": "https://id.plant.example/.well-known/openid-configuration",
}


def secrets(folder: Path, **changes: object) -> Path:
    file = folder / "secrets.toml"
    values = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    file.write_text("[auth]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return file


def test_the_working_folder_comes_after_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    assert secrets_files() == (home / SECRETS, here / SECRETS)


def test_a_whole_provider_is_accepted_and_the_last_file_counts(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    good, bad = secrets(tmp_path / "a"), secrets(tmp_path / "b", client_id="")
    require_provider([tmp_path / "none.toml", good])
    require_provider([bad, good])
    with pytest.raises(SettingsError, match="no client_id"):
        require_provider([good, bad])


def test_without_secrets_it_says_where_to_write_them(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[database]\nuser = 'a'\n")
    with pytest.raises(SettingsError, match=r"dashboard_sign_in.*\[auth\].*none\.toml.*other\.toml") as caught:
        require_provider([tmp_path / "none.toml", tmp_path / "other.toml"])
    assert "docs/dashboard.md" in str(caught.value.fix)


@pytest.mark.parametrize("key", KEYS)
def test_what_is_missing_is_named(tmp_path: Path, key: str) -> None:
    file = secrets(tmp_path, **{key: None})
    with pytest.raises(SettingsError, match=rf"secrets\.toml.*found no {key}$|found no {key};"):
        require_provider([file])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("redirect_uri", "https://dashboard.plant.example/", "oauth2callback"),
        ("redirect_uri", "dashboard.plant.example/oauth2callback", "oauth2callback"),
        ("cookie_secret", "changeme", "at least 32"),
        ("client_id", 7, "no client_id"),
    ],
)
def test_what_cannot_work_is_said(tmp_path: Path, key: str, value: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        require_provider([secrets(tmp_path, **{key: value})])


@pytest.mark.parametrize("text", [b"[auth\nclient_secret = 'hush'", b"[auth]\nclient_secret = '\xff'"])
def test_a_damaged_file_is_named_and_not_quoted(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "secrets.toml"
    file.write_bytes(text)
    with pytest.raises(SettingsError, match=r"secrets\.toml: expected TOML") as caught:
        require_provider([file])
    assert "hush" not in str(caught.value)


REVIEWERS = ("Ann@Plant.example ", "bo@plant.example")


@pytest.mark.parametrize(
    ("claims", "may_review"),
    [
        ({"email": "ann@plant.example", "email_verified": True}, True),
        ({"email": "ANN@PLANT.EXAMPLE", "email_verified": "true"}, True),
        ({"email": "bo@plant.example"}, True),  # the provider says nothing of it
        ({"email": "bo@plant.example", "email_verified": False}, False),
        ({"email": "bo@plant.example", "email_verified": "false"}, False),
        ({"email": "bo@plant.example", "email_verified": None}, False),
        ({"email": "eve@plant.example", "email_verified": True}, False),
        ({"email": "", "email_verified": True}, False),
        ({"email": ["bo@plant.example"]}, False),
        ({"sub": "bo@plant.example", "name": "bo@plant.example", "preferred_username": "bo@plant.example"}, False),
        ({}, False),
    ],
)
def test_who_may_review(claims: dict[str, object], may_review: bool) -> None:
    assert is_reviewer(claims, REVIEWERS) is may_review
    assert is_reviewer(claims, ()) is False


def test_an_empty_address_in_the_list_lets_nobody_in() -> None:
    assert not is_reviewer({"email": " "}, ("", " "))
    assert email_of({"email": " ann@plant.example "}) == "ann@plant.example"
