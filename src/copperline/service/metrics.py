"""What the service counts of itself, for Prometheus. No label takes a value that a client chooses."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from copperline.taxonomy import Call

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"})


class Metrics:
    """One registry for each app, so that two in one process do not count together."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        route = ("method", "route", "status")
        self._requests = Counter("copperline_http_requests", "Answers by route", route, registry=registry)
        self._request_seconds = Histogram(
            "copperline_http_request_seconds",
            "From the first byte of a request to the last of its answer",
            route,
            buckets=_SECONDS,
            registry=registry,
        )
        self._inspections = Counter("copperline_inspections", "New inspections by call", ("call",), registry=registry)
        for call in Call:
            self._inspections.labels(call.value)
        self.inspection_seconds = Histogram(
            "copperline_inspection_seconds",
            "From a board's acceptance to its row in the warehouse",
            buckets=_SECONDS,
            registry=registry,
        )
        self.judging_seconds = Histogram(
            "copperline_judging_seconds",
            "Registration, network and call of one board",
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_boards = Histogram(
            "copperline_batch_boards", "Boards in one transaction", buckets=(1, 2, 4, 8, 16, 32, 64), registry=registry
        )
        self.queue_depth = Gauge(
            "copperline_queue_depth", "Boards that are accepted and not judged yet", registry=registry
        )
        self.queue_capacity = Gauge("copperline_queue_capacity", "Boards that may wait", registry=registry)
        self._rejected = Counter(
            "copperline_rejected",
            "Requests that were not fulfilled, by kind of problem",
            ("reason",),
            registry=registry,
        )
        self._model = Gauge(
            "copperline_model_info", "1 for the model in service", ("name", "version"), registry=registry
        )
        self.model_swaps = Counter("copperline_model_swaps", "Changes of the model in service", registry=registry)
        self.model_fault = Gauge(
            "copperline_model_fault", "1 while the model that is asked for cannot be loaded", registry=registry
        )

    def saw_request(self, method: str, route: str, status: int, seconds: float) -> None:
        labels = (method if method in _METHODS else "other", route, str(status))
        self._requests.labels(*labels).inc()
        self._request_seconds.labels(*labels).observe(seconds)

    def saw_inspection(self, call: Call) -> None:
        self._inspections.labels(call.value).inc()

    def rejected(self, kind: str) -> None:
        self._rejected.labels(kind).inc()

    def serves(self, name: str, version: str) -> None:
        self._model.clear()
        self._model.labels(name, version).set(1)

    def text(self) -> bytes:
        return generate_latest(self.registry)
