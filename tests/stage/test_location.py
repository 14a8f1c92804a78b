"""Paths and URLs: told apart, and no secret taken in with a URL."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copperline.errors import SettingsError
from copperline.stage import is_url, location_of


def test_a_path_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert location_of("boards/lot 7") == location_of(Path("boards", "lot 7")) == tmp_path / "boards" / "lot 7"


def test_a_url_of_a_file_is_its_path(tmp_path: Path) -> None:
    path = tmp_path / "lot 7%"
    assert location_of(path.as_uri()) == path


@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=40))
def test_what_is_no_url_is_taken_as_a_path_whatever_it_holds(text: str) -> None:
    if not is_url(text):
        assert location_of(text) == Path(text).absolute()


@pytest.mark.parametrize(
    "url", ["s3://AKIA123:hush@boards/lot7", "sftp://user:hush@host/lot7", "https://hush@host/a.png"]
)
def test_a_url_with_a_secret_is_refused_and_the_secret_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match="without user name, key or password") as refused:
        location_of(url)
    assert "hush" not in str(refused.value)
    assert "AKIA" not in str(refused.value)


def test_a_url_that_names_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="names a place"):
        location_of("s3://")
