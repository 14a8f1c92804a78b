"""MQTT against a real mosquitto, which is also killed in the middle."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("paho.mqtt.client", reason="the extra mqtt is not installed")

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as paho
from sqlalchemy import Engine

from copperline.delivery.courier import Courier
from copperline.delivery.messages import Message
from copperline.delivery.mqtt import Mqtt, topic_of
from copperline.settings import Settings
from copperline.sink_settings import MqttSink
from copperline.warehouse import Event
from copperline.warehouse.outbox import Failure, backlogs

MakeEvent = Callable[..., Event]


def mqtt(broker: Any, folder: Path, *, probe: bool = False, **more: Any) -> Mqtt:
    given = {"url": f"mqtt://127.0.0.1:{broker.port}", "timeout_s": 2.0, **more}
    return Mqtt(MqttSink(kind="mqtt", name="broker", **given), folder, probe=probe)


class Listener:
    """A subscriber whose session the broker keeps: what it has acknowledged it has here."""

    def __init__(self, port: int, **more: Any) -> None:
        self.got: dict[str, list[bytes]] = defaultdict(list)
        self.retained: dict[str, bytes] = {}
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False, protocol=paho.MQTTv311
        )
        self.client.reconnect_delay_set(1, 1)
        self.client.on_message = self._keep
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.ready = False
        self.client.on_subscribe = self._subscribed
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _subscribed(self, *_: Any) -> None:
        self.ready = True

    def _keep(self, client: Any, data: Any, message: Any) -> None:
        self.got[message.topic].append(message.payload)
        self.retained[message.topic] = message.payload

    def ids(self, topic: str = "copperline/L1/AOI-1/inspection.completed") -> list[str]:
        return [json.loads(body)["event_id"] for body in self.got[topic]]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def listen(until: Callable[..., None]) -> Iterator[Callable[[int], Listener]]:
    made: list[Listener] = []

    def new(port: int) -> Listener:
        made.append(Listener(port))
        until(lambda: made[-1].ready)
        return made[-1]

    yield new
    for listener in made:
        listener.close()


def test_messages_arrive_on_their_topics(
    new_broker: Any, listen: Any, event: MakeEvent, until: Callable[..., None], tmp_path: Path
) -> None:
    broker = new_broker()
    listener = listen(broker.port)
    sink = mqtt(broker, tmp_path)
    assert sink.ready()
    events = [event(1), event(2), event(3, line_id="a/b+#", station_id=None)]
    outcomes = dict(sink.send(events))
    assert outcomes == {"E0001": None, "E0002": None, "E0003": None}
    until(lambda: len(listener.got["copperline/a_b__/unknown/inspection.completed"]) == 1)
    assert listener.ids() == ["E0001", "E0002"]
    assert json.loads(listener.got["copperline/L1/AOI-1/inspection.completed"][0])["data"]["board_id"] == "B1"
    until(lambda: listener.got["copperline/status/broker"] == [b"online"])
    sink.close()
    until(lambda: listener.got["copperline/status/broker"] == [b"online", b"offline"])


def test_one_that_is_lost_is_said_to_be_offline(
    new_broker: Any, listen: Any, event: MakeEvent, until: Callable[..., None], tmp_path: Path
) -> None:
    broker = new_broker()
    listener = listen(broker.port)
    sink = mqtt(broker, tmp_path, status_topic="plant/status")
    assert list(sink.send([event(1)])) == [("E0001", None)]
    until(lambda: listener.got["plant/status"] == [b"online"])
    assert sink._client is not None
    sink._client.socket().close()  # as when the machine loses its network
    until(lambda: listener.got["plant/status"] == [b"online", b"offline"])
    assert list(sink.send([event(2)])) == [("E0002", None)]
    sink.close()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_nothing_is_lost_when_the_broker_is_killed(
    new_broker: Any,
    listen: Any,
    engine: Engine,
    tell: Callable[..., list[str]],
    until: Callable[..., None],
    tmp_path: Path,
    protocol: str,
) -> None:
    broker = new_broker("persistence true", "autosave_interval 1", "autosave_on_changes true")
    listener = listen(broker.port)
    told = tell(engine, 40, "broker")
    sink = mqtt(broker, tmp_path, protocol=protocol)
    with Courier(engine, Settings(workspace=tmp_path), [sink], poll_s=0.02):
        until(lambda: backlogs(engine)["broker"].delivered == 40)
        until(lambda: len(set(listener.ids())) == 40)
        broker.kill()
        told += tell(engine, 40, "broker", first=40)
        until(lambda: backlogs(engine)["broker"].retrying > 0)
        assert backlogs(engine)["broker"].delivered == 40
        listener.ready = False
        broker.start()
        until(lambda: listener.ready)
        told += tell(engine, 200, "broker", first=80)
        until(lambda: backlogs(engine)["broker"].delivered == 280, 30)
        until(lambda: len(set(listener.ids())) == 280)
    assert sorted(set(listener.ids())) == told


def test_a_broker_that_is_not_there(event: MakeEvent, tmp_path: Path) -> None:
    class Nobody:
        port = 9

    sink = mqtt(Nobody, tmp_path)
    ((event_id, failure),) = sink.send([event(1), event(2)])
    assert event_id == "E0001"
    assert failure is not None
    assert failure.reason == "no connection: Connection refused"
    sink.close()


def test_somebody_who_is_no_broker(new_receiver: Any, event: MakeEvent, tmp_path: Path) -> None:
    port = int(new_receiver().url.split(":")[2].split("/")[0])
    sink = Mqtt(MqttSink(kind="mqtt", name="broker", url=f"mqtt://127.0.0.1:{port}", timeout_s=0.5), tmp_path)
    ((_, failure),) = sink.send([event(1)])
    assert failure is not None
    sink.close()


def test_user_and_password(new_broker: Any, event: MakeEvent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
    if not Path(program).is_file():
        pytest.skip("mosquitto_passwd is not installed")
    passwords, rules = tmp_path / "passwords", tmp_path / "rules"
    passwords.write_text("")
    subprocess.run([program, "-b", str(passwords), "line", "right"], check=True, capture_output=True)
    rules.write_text("user line\ntopic write copperline/L1/#\ntopic write copperline/status/#\n")
    broker = new_broker(f"password_file {passwords}", f"acl_file {rules}")
    monkeypatch.setenv("BROKER_PASSWORD", "wrong")
    wrong = mqtt(broker, tmp_path, username="line", password_env="BROKER_PASSWORD")
    ((_, failure),) = wrong.send([event(1)])
    assert failure is not None
    assert "refused the connection" in failure.reason
    wrong.close()
    monkeypatch.setenv("BROKER_PASSWORD", "right")
    right = mqtt(broker, tmp_path, username="line", password_env="BROKER_PASSWORD")
    # What it may not write the broker refuses, and says so in MQTT 5; the others are delivered all the same.
    outcomes = dict(right.send([event(1, line_id="L2"), event(2)]))
    assert outcomes["E0002"] is None
    refused = outcomes["E0001"]
    assert isinstance(refused, Failure)
    assert "Not authorized" in refused.reason
    right.close()


def test_tls(new_broker: Any, event: MakeEvent, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    make = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([openssl, *make.split(), *files], check=True, capture_output=True)
    broker = new_broker(
        "listener {port} 127.0.0.1", f"certfile {tmp_path / 'cert.pem'}", f"keyfile {tmp_path / 'key.pem'}"
    )
    secure = f"mqtts://127.0.0.1:{broker.port}"
    sink = mqtt(broker, tmp_path, url=secure, ca_file=tmp_path / "cert.pem")
    assert list(sink.send([event(1)])) == [("E0001", None)]
    sink.close()
    stranger = mqtt(broker, tmp_path, url=secure)
    ((_, failure),) = stranger.send([event(1)])
    assert failure is not None
    assert "certificate verify failed" in failure.reason.lower()
    stranger.close()
    missing = mqtt(broker, tmp_path, url=secure, ca_file=tmp_path / "none.pem")
    ((_, failure),) = missing.send([event(1)])
    assert failure is not None
    assert "No such file" in failure.reason
    missing.close()


def test_one_process_at_a_time_has_the_client_id(new_broker: Any, event: MakeEvent, tmp_path: Path) -> None:
    broker = new_broker()
    first, second, probe = (mqtt(broker, tmp_path, probe=p) for p in (False, False, True))
    assert first.ready()
    assert first.ready()
    assert not second.ready()
    assert list(first.send([event(1)])) == [("E0001", None)]
    assert list(probe.send([event(2)])) == [("E0002", None)]
    probe.close()
    assert list(first.send([event(3)])) == [("E0003", None)]
    first.close()
    assert second.ready()
    second.close()


def test_a_payload_that_is_none_is_given_up_and_the_others_go_on(
    new_broker: Any, event: MakeEvent, tmp_path: Path
) -> None:
    broken = Event("E0", "inspection.completed", event(1).occurred_at, "B0", "[]")
    sink = mqtt(broker := new_broker(), tmp_path)
    outcomes = dict(sink.send([broken, event(1)]))
    assert outcomes["E0001"] is None
    assert outcomes["E0"] is not None
    assert outcomes["E0"].final
    sink.close()
    broker.kill()


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_name_is_always_one_level(line: str, station: str) -> None:
    topic = topic_of(
        "copperline/{line_id}/{station_id}/{event_type}", Message("E", "alert.opened", "", line, station, b"")
    )
    assert topic.count("/") == 3
    assert not set(topic) & set("+#\0\n\t$")
    assert "" not in topic.split("/")
    topic.encode()


def test_an_idle_connection_stays(new_broker: Any, event: MakeEvent, tmp_path: Path) -> None:
    sink = mqtt(new_broker(), tmp_path)
    assert list(sink.send([event(1)])) == [("E0001", None)]
    before = sink._client
    time.sleep(0.3)
    assert list(sink.send([event(2)])) == [("E0002", None)]
    assert sink._client is before
    sink.close()
