"""Joining a cluster of real Ray nodes, and what is said when that cannot be."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from copperline.cluster import ray_errors, ray_session
from copperline.errors import ClusterError, SettingsError

STORE = 80 << 20  # bytes; Ray takes no less than 75 MiB


@pytest.fixture(scope="module")
def cluster(ray_folder: Path) -> Iterator[Any]:
    """A head with one CPU."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_AUTH_MODE", "disabled")
        head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False, "temp_dir": str(ray_folder)}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            yield cluster
        finally:
            cluster.shutdown()


def test_a_cluster_is_joined_and_left(cluster: Any) -> None:
    import ray

    handler = signal.getsignal(signal.SIGTERM)
    with ray_session(cluster.address, cpus=1, timeout_s=60) as found:
        assert found.address == cluster.address
        assert not found.is_local
        assert (found.cpus, found.gpus, len(found.nodes)) == (1, 0, 1)
        assert found.object_store_bytes == STORE
        assert found.memory_bytes > STORE
        versions = found.nodes[0].versions
        assert versions is not None
        assert versions.copperline == importlib.metadata.version("copperline")
        assert (versions.ray, versions.python) == (found.ray_version, found.python_version)
    assert not ray.is_initialized()
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_check_shows_what_is_there(cluster: Any, copperline: Callable[..., Any]) -> None:
    found = copperline("cluster", "check", "--address", cluster.address, "--json")
    assert (found.status, found.err) == (0, "")
    assert (found.json["address"], found.json["cpus"], found.json["workers_of_one_core"]) == (cluster.address, 1, 1)
    assert [node["copperline"] for node in found.json["nodes"]] == [importlib.metadata.version("copperline")]
    for_people = copperline("cluster", "check", "--address", cluster.address)
    assert "Room for 1 worker of one core; there is no GPU." in for_people.out
    assert f"--address {cluster.address}" in for_people.out


def test_the_cluster_of_this_machine_is_found(cluster: Any) -> None:
    with ray_session("auto") as found:
        assert found.address == cluster.address


def test_a_ray_that_the_process_has_is_used_and_goes_on(cluster: Any) -> None:
    import ray

    port = cluster.address.rpartition(":")[2]
    with ray_session(f"localhost:{port}") as first:
        for address in (None, "auto", cluster.address, f"127.0.0.1:{port}"):
            with ray_session(address) as second:
                assert second.address == first.address
            assert ray.is_initialized()
        with pytest.raises(ClusterError, match=r"is connected to Ray at .* already"), ray_session("127.0.0.1:2"):
            pass


@pytest.mark.parametrize(
    ("wanted", "words"), [({"cpus": 5}, "expected 5 CPUs, found 1 on 1 node"), ({"gpus": 1}, "GPUs")]
)
def test_too_few_resources_are_told(cluster: Any, wanted: dict[str, float], words: str) -> None:
    with pytest.raises(ClusterError, match=words), ray_session(cluster.address, **wanted):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize("installed", ["9.9.9", None])
def test_a_node_without_this_copperline_is_named(cluster: Any, tmp_path: Path, installed: str | None) -> None:
    # What is first on the path of the node's Python is what it has installed.
    if installed is None:
        (tmp_path / "sitecustomize.py").write_text(_WITHOUT_COPPERLINE)
    else:
        described = tmp_path / f"copperline-{installed}.dist-info" / "METADATA"
        described.parent.mkdir()
        described.write_text(f"Metadata-Version: 2.1\nName: copperline\nVersion: {installed}\n")
    node = cluster.add_node(num_cpus=1, object_store_memory=STORE, env_vars={"PYTHONPATH": str(tmp_path)})
    try:
        with pytest.raises(ClusterError, match=f"found {installed or 'none'} on "), ray_session(cluster.address):
            pass
    finally:
        cluster.remove_node(node)


_WITHOUT_COPPERLINE = """
import importlib.metadata as metadata

found = metadata.distribution


def distribution(name):
    if name == "copperline":
        raise metadata.PackageNotFoundError(name)
    return found(name)


metadata.distribution = distribution
"""


def test_a_node_that_does_not_answer_is_named_in_time(cluster: Any, tmp_path: Path) -> None:
    # A worker of this node never comes up.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, time\nif any('default_worker' in word for word in sys.orig_argv):\n    time.sleep(3600)\n"
    )
    node = cluster.add_node(num_cpus=1, object_store_memory=STORE, env_vars={"PYTHONPATH": str(tmp_path)})
    begun = time.monotonic()
    try:
        with pytest.raises(ClusterError, match="1 of 2 that did not"), ray_session(cluster.address, timeout_s=5):
            pass
        assert time.monotonic() - begun < 20
    finally:
        cluster.remove_node(node)


@pytest.mark.parametrize(
    ("name", "other"), [("Ray", {"ray_version": "2.1.0"}), ("Python", {"python_version": "3.10.1"})]
)
def test_a_cluster_of_another_version_is_not_joined(cluster: Any, name: str, other: dict[str, str]) -> None:
    with (
        _stored_versions(cluster.address, other),
        pytest.raises(
            ClusterError, match=f"expected {name} .* found that the cluster runs {name} {next(iter(other.values()))}"
        ),
        ray_session(cluster.address),
    ):
        pass


@contextmanager
def _stored_versions(address: str, other: dict[str, str]) -> Iterator[None]:
    """The cluster says that it was started by other versions: where Ray itself looks."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    client = GcsClient(address=address)
    key, namespace = b"CLUSTER_METADATA", b"cluster"
    before = client.internal_kv_get(key, namespace=namespace, timeout=10)
    client.internal_kv_put(key, json.dumps({**json.loads(before), **other}).encode(), True, namespace)
    try:
        yield
    finally:
        client.internal_kv_put(key, before, True, namespace)


def test_where_nothing_listens_it_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    begun = time.monotonic()
    nothing = pytest.raises(ClusterError, match=f"127.0.0.1:{port}: expected a Ray cluster, found nothing")
    with nothing, ray_session(f"127.0.0.1:{port}"):
        pass
    assert time.monotonic() - begun < 10


SETTINGS_FRAME = b"\0\0\0\4\0\0\0\0\0"  # what a server of HTTP/2 answers first


@pytest.mark.parametrize(
    ("answer", "hangs_up"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", True), (b"", True), (b"", False), (SETTINGS_FRAME, False)],
    ids=["answers otherwise", "hangs up", "says nothing", "speaks HTTP/2 and no more"],
)
def test_another_server_is_told_from_ray(answer: bytes, hangs_up: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def serve() -> None:
            connection, _ = server.accept()
            taken.append(connection)
            connection.sendall(answer)
            if hangs_up:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        other = pytest.raises(ClusterError, match="found something else")
        with other, ray_session(f"127.0.0.1:{server.getsockname()[1]}", timeout_s=2):
            pass
        thread.join(10)
        taken[0].close()


@pytest.mark.parametrize(
    "address", ["", "6379", "host", "host:0", "host:65536", "http://host:1", "ray://host:10001", "a b:1"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError), ray_session(address):
        pass


@pytest.mark.parametrize("wrong", [{"cpus": -1}, {"gpus": float("nan")}, {"timeout_s": 0}, {"object_store_mib": 10}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))), ray_session(None, **wrong):
        pass


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"pip install 'copperline\[ray\]'"), ray_session(None):
        pass


def test_a_worker_that_ray_ends_for_lack_of_memory_is_told(ray_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # So small a part of the memory is in use at once, and Ray ends the first task that it sees.
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.001")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "50")
    with (
        pytest.raises(ClusterError, match=r"the node [\d.]+ ran out of memory"),
        ray_session(None, object_store_mib=80),
        ray_errors(),
    ):  # the session's own first task may be done before Ray looks
        import ray

        ray.get(ray.remote(max_retries=0)(lambda: time.sleep(30)).remote(), timeout=60)


LOCAL = """
import os, sys
from pathlib import Path
from copperline.cluster import ray_session
with ray_session(None, cpus=3, logs=Path(sys.argv[1]), object_store_mib=80) as cluster:
    import ray
    assert cluster.is_local and cluster.cpus >= 3 and cluster.object_store_bytes == 80 << 20, cluster
    assert ray.get(ray.remote(lambda: 7).remote(), timeout=60) == 7
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
assert not [name for name in os.environ if name.startswith("RAY_AUTH")], os.environ
try:
    ray.put(7)
except Exception as error:
    assert not ray.is_initialized(), error
else:
    raise AssertionError("Ray has started by itself")
"""


def test_a_ray_of_this_machine_leaves_nothing_but_the_logs(tmp_path: Path) -> None:
    """Nothing is printed, no token stays in the home folder, no folder in the temporary one; it stays ended."""
    pytest.importorskip("ray", reason="Ray is not installed")
    home, temporary, logs = tmp_path / "home", tmp_path / "t", tmp_path / "logs"
    home.mkdir()
    temporary.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary)}
    ran = subprocess.run(
        [sys.executable, "-c", LOCAL, str(logs)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert list(home.iterdir()) == []
    assert list(temporary.iterdir()) == []
    assert (logs / "gcs_server.out").is_file()
