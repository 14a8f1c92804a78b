"""`[[sinks]]` tables: what is wrong in them is named, what is secret is never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from copperline.errors import SettingsError
from copperline.settings import Settings

GOOD = """
[[sinks]]
kind = "webhook"
name = "mes"
url = "https://mes.example/hooks/copperline"
secret_env = "MES_SECRET"
events = ["inspection.completed", "alert.opened"]

[[sinks]]
kind = "webhook"
name = "factory"
url = "http://10.0.0.7:8080/cfx"
format = "cfx"

[[sinks]]
kind = "mqtt"
name = "broker"
url = "mqtts://broker.example"
username = "line"
password_env = "BROKER_PASSWORD"

[[sinks]]
kind = "files"
name = "tables"
folder = "/srv/tables"
table_format = "parquet"

[[sinks]]
kind = "message_files"
name = "drop"
folder = "/srv/drop"
format = "cfx"
"""


def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Settings:
    monkeypatch.chdir(tmp_path)
    Path("copperline.toml").write_text(text)
    return Settings.load()


def test_all_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(tmp_path, monkeypatch, GOOD)
    assert [(sink.name, sink.kind) for sink in settings.sinks] == [
        ("mes", "webhook"),
        ("factory", "webhook"),
        ("broker", "mqtt"),
        ("tables", "files"),
        ("drop", "message_files"),
    ]
    assert settings.sinks_for("inspection.completed") == ("mes", "factory", "broker", "tables", "drop")
    assert settings.sinks_for("alert.opened") == ("mes", "broker")
    assert settings.sinks_for("alert.closed") == ("broker",)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('kind = "fax"\nname = "a"', "'webhook', 'mqtt', 'files', 'message_files'"),
        ('kind = "webhook"\nname = "a"', "url"),
        ('kind = "webhook"\nname = "a"\nurl = "ftp://x/"', "http://HOST or https://HOST"),
        ('kind = "webhook"\nname = "a"\nurl = "https:///x"', "http://HOST or https://HOST"),
        ('kind = "webhook"\nname = "a"\nurl = "https://h:x/"', "valid port"),
        ('kind = "webhook"\nname = "a"\nurl = "https://u:hunter2@h/"', "without user and password"),
        ('kind = "webhook"\nname = "a b"\nurl = "http://h/"', "name"),
        ('kind = "webhook"\nname = "a"\nurl = "http://h/"\nevents = ["board.made"]', "inspection.completed"),
        ('kind = "webhook"\nname = "a"\nurl = "http://h/"\nevents = []', "events"),
        ('kind = "webhook"\nname = "a"\nurl = "http://h/"\nformat = "cfx"\nevents = ["alert.opened"]', "cfx"),
        ('kind = "webhook"\nname = "a"\nurl = "http://h/"\nprevious_secret_env = "X"', "secret_env"),
        ('kind = "webhook"\nname = "a"\nurl = "http://h/"\nsecret = "x"', "Extra inputs"),
        ('kind = "webhook"\nname = "a"\nurl = "http://h/"\nsecret_env = "hunter2 !"', "secret_env"),
        ('kind = "mqtt"\nname = "a"\nurl = "mqtt://h/path"', "without a path"),
        ('kind = "mqtt"\nname = "a"\nurl = "mqtt://u:hunter2@h/path"', "without user and password"),
        ('kind = "mqtt"\nname = "a"\nurl = "mqtt://h"\ntopic = "a/{board}"', "line_id"),
        ('kind = "mqtt"\nname = "a"\nurl = "mqtt://h"\ntopic = "a/{line_id.x}"', "line_id"),
        ('kind = "mqtt"\nname = "a"\nurl = "mqtt://h"\ntopic = "a/#"', "without"),
        ('kind = "mqtt"\nname = "a"\nurl = "mqtt://h"\ntopic = "a/{"', "topic"),
        ('kind = "mqtt"\nname = "a"\nurl = "mqtt://h"\npassword_env = "X"', "username"),
        ('kind = "mqtt"\nname = "a"\nurl = "mqtt://h"\nkey_file = "k.pem"', "together"),
        ('kind = "files"\nname = "a"\nfolder = "x"\ntable_format = "xlsx"', "csv"),
        ('kind = "files"\nname = "a"', "folder"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, monkeypatch, f"[[sinks]]\n{table}\n")
    message = str(refused.value)
    assert "sinks" in message
    assert words in message
    assert "COPPERLINE_SINKS" in message
    assert "hunter2" not in message
    assert refused.value.__cause__ is None
    assert "\n" not in message


def test_two_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = '[[sinks]]\nkind = "files"\nname = "a"\nfolder = "x"\n'
    with pytest.raises(SettingsError, match="'a' twice"):
        read(tmp_path, monkeypatch, one * 2)


def test_alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(tmp_path, monkeypatch, 'alert_chart_grain = "shift"\n').alert_chart_grain == "shift"
    for wrong in (
        "alert_withheld_rate = 1.5",
        'alert_chart_grain = "day"',
        "alert_chart_rules = [5]",
        "alert_hours = 0",
    ):
        with pytest.raises(SettingsError, match=wrong.split()[0]):
            read(tmp_path, monkeypatch, wrong)
