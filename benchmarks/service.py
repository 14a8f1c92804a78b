"""The HTTP service under load: latency at the line's pace, memory, and what `kill -9` costs.

    python benchmarks/service.py latency              # 20 requests/s of 640 px pairs for 60 s, sent by a plan
    python benchmarks/service.py latency --tool wrk   # the same pace by wrk, which shares no code with us
    python benchmarks/service.py kills                # 20,000 requests, the service killed (-9) ten times meanwhile
    python benchmarks/service.py --warehouse postgresql+pg8000://... latency   # an empty database instead of SQLite

Boards are drawn, 640 px, 25 pairs of four products under ever new ids; each request brings image and reference. The
service is `copperline serve` in a workspace of its own, with the shipped model.

latency: a request is due at a fixed time, whether the ones before it are answered or not, and its latency counts from
then; so a service that stalls cannot make its figure look better. kills: clients try again with the same idempotency
key, as `copperline.client.Client` does; afterwards the warehouse must have each board once, with all its detections,
and counts by hour that agree with a recount.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sqlalchemy import func, select

from copperline.client import Client
from copperline.data.images import encode_image
from copperline.data.synthetic.production import Product
from copperline.local_server import free_port, wait_until_healthy
from copperline.progress import progress
from copperline.warehouse import differences, open_warehouse, read_transaction
from copperline.warehouse.tables import defect_logs, inspections

BOUNDARY = "copperline-benchmark"
SENDERS = 16
WARM_UP = 100


@dataclass(frozen=True)
class Pair:
    image: bytes
    reference: bytes


def drawn_pairs(count: int = 25) -> list[Pair]:
    """One board in five has a defect or two."""
    products = [Product(0, index) for index in range(4)]
    pairs = []
    for number in range(count):
        product = products[number % len(products)]
        image, _ = product.board(number, defects=2 if number % 5 == 0 else 0)
        pairs.append(Pair(encode_image(image, ".jpg"), encode_image(product.golden, ".jpg")))
    return pairs


def multipart(pair: Pair, board_id: str) -> bytes:
    fields = {"board_id": board_id, "station_id": "AOI-1", "line_id": "LINE-1", "simulated": "true"}
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, data in (("image", pair.image), ("reference", pair.reference)):
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.jpg"\r\n'
        parts += [f"{head}Content-Type: image/jpeg\r\n\r\n".encode(), data, b"\r\n"]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


@dataclass
class Service:
    """`copperline serve` as a process that can be killed and started again on the same port and workspace."""

    workspace: Path
    warehouse: str
    port: int = field(default_factory=lambda: free_port(18_100))
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        words = ["serve", "--port", str(self.port), "--workspace", str(self.workspace), "--model", "builtin:deeppcb"]
        with (self.workspace / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "copperline", *words],
                env={**os.environ, "COPPERLINE_WAREHOUSE_URL": self.warehouse},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        wait_until_healthy(self.process, f"{self.url}/readyz", by_hand="copperline serve")

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def resident_mib(self) -> float:
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


@contextmanager
def service(warehouse: str | None) -> Iterator[Service]:
    folder = Path(tempfile.mkdtemp(prefix="copperline-service-"))
    server = Service(folder, warehouse or f"sqlite:///{folder / 'warehouse.db'}")
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def send_by_plan(
    url: str, pairs: list[Pair], rate: float, seconds: float, run: str
) -> tuple[list[float], Counter[int]]:
    """Seconds from when each request was due to its whole answer, and how many answers had which status."""
    parts = urllib.parse.urlsplit(url)
    bodies = [multipart(pair, "BOARD-ID-HERE") for pair in pairs]
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    local = threading.local()
    begin = time.perf_counter() + 0.5

    def send(number: int) -> None:
        due = begin + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        body = bodies[number % len(bodies)].replace(b"BOARD-ID-HERE", f"{run}-{number:06d}".encode())
        headers = {
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Idempotency-Key": f"{run}-{number}",
        }
        local.connection.request("POST", "/v1/inspections", body, headers)
        answer = local.connection.getresponse()
        answer.read()
        latencies.append(time.perf_counter() - due)
        statuses[answer.status] += 1

    with ThreadPoolExecutor(SENDERS) as pool:
        for done in [pool.submit(send, number) for number in range(int(rate * seconds))]:
            done.result()
    return latencies, statuses


def measure_latency(warehouse: str | None, rate: float, seconds: float) -> dict[str, object]:
    pairs = drawn_pairs()
    with service(warehouse) as server:
        send_by_plan(server.url, pairs, rate, WARM_UP / rate, "warm-up")
        before = server.resident_mib()
        latencies, statuses = send_by_plan(server.url, pairs, rate, seconds, "run")
        after = server.resident_mib()
    p50, p95, p99, worst = np.quantile(latencies, [0.5, 0.95, 0.99, 1.0]) * 1e3
    return {
        "requests": len(latencies),
        "rate": rate,
        "statuses": dict(statuses),
        "p50_ms": round(p50, 1),
        "p95_ms": round(p95, 1),
        "p99_ms": round(p99, 1),
        "max_ms": round(worst, 1),
        "resident_mib": [round(before, 1), round(after, 1)],
    }


WRK = """
local head, tail, number = HEAD, TAIL, 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "multipart/form-data; boundary=BOUNDARY"
request = function()
  number = number + 1
  return wrk.format(nil, "/v1/inspections", nil, head .. string.format("wrk-%06d", number) .. tail)
end
delay = function() return math.random(DELAY, 3 * DELAY) end
done = function(summary, latency, requests)
  local form = '{"requests": %d, "errors": %d, "p50_ms": %.1f, "p95_ms": %.1f, "p99_ms": %.1f, "max_ms": %.1f}\\n'
  io.write(string.format(form,
    summary.requests, summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
"""


def measure_with_wrk(warehouse: str | None, rate: float, seconds: float) -> dict[str, object]:
    """wrk waits for an answer before its next request, so its pace is only about `rate`."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt install wrk")
    connections, pair = 4, drawn_pairs(1)[0]
    head, tail = multipart(pair, "BOARD-ID-HERE").split(b"BOARD-ID-HERE")
    mean_ms = max(1, int(1000 * connections / rate / 2 - 5))
    with service(warehouse) as server, tempfile.TemporaryDirectory() as folder:
        send_by_plan(server.url, [pair], rate, WARM_UP / rate, "warm-up")
        script = Path(folder) / "load.lua"
        text = WRK.replace("BOUNDARY", BOUNDARY).replace("DELAY", str(mean_ms))
        script.write_text(text.replace("HEAD", lua_bytes(head)).replace("TAIL", lua_bytes(tail)))
        words = ["wrk", "-t1", f"-c{connections}", f"-d{int(seconds)}s", "--latency", "-s", str(script), server.url]
        printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found: dict[str, object] = json.loads(printed.splitlines()[-1])
    return {**found, "rate": round(int(str(found["requests"])) / seconds, 1)}


def lua_bytes(data: bytes) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in data) + '"'


def measure_kills(warehouse: str | None, requests: int, kills: int, clients: int) -> dict[str, object]:
    pairs = drawn_pairs()
    answered: dict[str, str] = {}
    restarts: list[float] = []
    memory: list[list[float]] = [[]]
    numbers = iter(range(requests))
    lock = threading.Lock()

    with service(warehouse) as server:

        def work() -> None:
            with Client(server.url, timeout_s=20, retries=40) as client:
                while True:
                    with lock:
                        number = next(numbers, None)
                    if number is None:
                        return
                    pair, board_id = pairs[number % len(pairs)], f"B{number:06d}"
                    found = client.inspect(
                        pair.image, board_id=board_id, station_id="AOI-1", reference=pair.reference, simulated=True
                    )
                    answered[board_id] = found["inspection_id"]

        threads = [threading.Thread(target=work) for _ in range(clients)]
        lot = random.Random(0)
        # Spread over the run, but never at the same point of a board's way.
        moments = sorted(lot.randrange(requests // 20, requests * 19 // 20) for _ in range(kills))
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        with progress("Inspecting") as report:
            while any(thread.is_alive() for thread in threads):
                report(len(answered), requests)
                if moments and len(answered) >= moments[0]:
                    moments.pop(0)
                    time.sleep(lot.random() * 0.1)
                    server.kill()
                    again = time.monotonic()
                    server.start()
                    restarts.append(time.monotonic() - again)
                    memory.append([])
                memory[-1].append(server.resident_mib())
                time.sleep(0.2)
        seconds = time.monotonic() - begin
        server.stop()
        checked = check_rows(server.warehouse, answered)
    longest = max(memory, key=len)
    return {
        "requests": requests,
        "kills": len(restarts),
        **checked,
        "requests_per_second": round(requests / seconds, 1),
        "restart_seconds": round(float(np.median(restarts)), 2) if restarts else None,
        # Of the longest life of the service: after its first tenth, and at its end.
        "resident_mib": [round(longest[len(longest) // 10], 1), round(longest[-1], 1)],
    }


def check_rows(warehouse: str, answered: dict[str, str]) -> dict[str, object]:
    """What the warehouse has, against what clients were told."""
    engine = open_warehouse(warehouse)
    with read_transaction(engine) as connection:
        rows = connection.execute(
            select(inspections.c.board_id, inspections.c.inspection_id, inspections.c.defect_count)
        ).all()
        logged = dict(
            connection.execute(select(defect_logs.c.inspection_id, func.count()).group_by(defect_logs.c.inspection_id))
            .tuples()
            .all()
        )
        wrong = differences(connection)
        sound = None
        if engine.dialect.name == "sqlite":
            sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    engine.dispose()
    found = Counter(row.board_id for row in rows)
    return {
        "lost": len(set(answered) - set(found)),
        "doubled": sum(count - 1 for count in found.values()),
        "answers_that_name_another_row": sum(answered.get(row.board_id) != row.inspection_id for row in rows),
        "inspections_without_all_detections": sum(logged.get(r.inspection_id, 0) != r.defect_count for r in rows),
        "counts_that_differ_from_a_recount": len(wrong),
        "integrity": sound,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warehouse", help="SQLAlchemy URL of an empty database; default: SQLite")
    ways = parser.add_subparsers(dest="way", required=True)
    latency = ways.add_parser("latency")
    latency.add_argument("--rate", type=float, default=20.0, help="requests a second")
    latency.add_argument("--seconds", type=float, default=60.0)
    latency.add_argument("--tool", choices=("plan", "wrk"), default="plan")
    kills = ways.add_parser("kills")
    kills.add_argument("--requests", type=int, default=20_000)
    kills.add_argument("--kills", type=int, default=10)
    kills.add_argument("--clients", type=int, default=8)
    chosen = parser.parse_args()
    os.environ.pop("COPPERLINE_WORKSPACE", None)
    if chosen.way == "kills":
        found = measure_kills(chosen.warehouse, chosen.requests, chosen.kills, chosen.clients)
    elif chosen.tool == "wrk":
        found = measure_with_wrk(chosen.warehouse, chosen.rate, chosen.seconds)
    else:
        found = measure_latency(chosen.warehouse, chosen.rate, chosen.seconds)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
