"""The [snowflake] table: names, sizes, hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from copperline.errors import SettingsError
from copperline.settings import Settings
from copperline.snowflake_settings import SnowflakeSettings, is_plain


def test_names_are_kept_as_snowflake_keeps_them() -> None:
    names = SnowflakeSettings(database="pcb_cv", stage="Bilder der Linie 1")
    assert (names.database, names.stage) == ("PCB_CV", "Bilder der Linie 1")
    assert is_plain(names.database)
    assert not is_plain(names.stage)
    assert not is_plain("lower")
    assert names.in_schema(names.stage) == '"PCB_CV"."PUBLIC"."Bilder der Linie 1"'


def test_file_and_variables_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("copperline.toml").write_text('[snowflake]\ndatabase = "from_file"\nwarehouse_size = "SMALL"\n')
    monkeypatch.setenv("COPPERLINE_SNOWFLAKE__DATABASE", "from_variable")
    monkeypatch.setenv("COPPERLINE_SNOWFLAKE__ALLOWED_HOSTS", "[]")
    names = Settings.load().snowflake
    assert (names.database, names.warehouse_size, names.allowed_hosts) == ("FROM_VARIABLE", "SMALL", ())
    monkeypatch.setenv("COPPERLINE_SNOWFLAKE", '{"role": "as json"}')
    assert Settings.load().snowflake.role == "as json"


@pytest.mark.parametrize(
    ("field", "value"),
    [("DATABSE", "x"), ("MAX_NODES", "0"), ("WAREHOUSE_SIZE", "HUGE"), ("COMPUTE_POOL", "two words"), ("ROLE", "")],
)
def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, field: str, value: str) -> None:
    monkeypatch.setenv(f"COPPERLINE_SNOWFLAKE__{field}", value)
    with pytest.raises(SettingsError, match=rf"snowflake\.{field.lower()}.*COPPERLINE_SNOWFLAKE__{field}"):
        Settings.load()


@pytest.mark.parametrize("entry", ["pypi.org:443", "files.pythonhosted.org:443", "a-b.example.co:8443"])
def test_a_host_and_its_port_can_be_allowed(entry: str) -> None:
    assert SnowflakeSettings(allowed_hosts=(entry.upper(),)).allowed_hosts == (entry,)


@pytest.mark.parametrize(
    "entry",
    [
        "0.0.0.0:443", "0.0.0.0", "*:443", "*.example.com:443", "example.com", "example.com:0", "example.com:70000",
        "192.0.2.1:443", "10.0.0.0/8:443", "[::]:443", "[2001:db8::1]:443", "localhost:443", "https://example.com:443",
        "example.com:443 ", "exa mple.com:443", "example.com:443') --", "-a.example:1", "1.2:1", "a..b:1", "", ":443",
    ],
)  # fmt: skip
def test_anything_wider_or_else_is_refused(entry: str) -> None:
    with pytest.raises(ValidationError, match="expected one host and its port"):
        SnowflakeSettings(allowed_hosts=(entry,))


@pytest.mark.parametrize(
    "url",
    ["http://git.example/a/b", "git@git.example:a/b", "https://git.example", "https://git.example/a",
     "https://git.example/a/b?x=1", "https://u:secret-token@git.example/a/b", "file:///a/b"],
)  # fmt: skip
def test_a_git_url_is_one_repository_without_a_secret(url: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        SnowflakeSettings(git_url=url)
    assert "secret-token" not in str(refusal.value.errors(include_input=False))
    assert SnowflakeSettings(git_url="https://git.example/a/b.git").git_url == "https://git.example/a/b.git"


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValidationError, match="max_nodes of at least min_nodes"):
        SnowflakeSettings(min_nodes=4)
    with pytest.raises(ValidationError, match="different names"):
        SnowflakeSettings(reader_role="PCB_CV_ROLE")
    with pytest.raises(ValidationError, match="different names"):
        SnowflakeSettings(role="accountadmin")
