"""The service as a process: its address, its model, its warehouse, and how it ends."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import uvicorn

from copperline.delivery.courier import Courier
from copperline.inspection import Detector
from copperline.line import LineInspector
from copperline.line.inspector import INSPECTION_COMPLETED
from copperline.local_server import listen
from copperline.service import logs
from copperline.service.app import create_app
from copperline.service.security import require_keys
from copperline.service.slow_clients import ConnectionLimits
from copperline.service.tls import TlsFiles
from copperline.service.uvicorn_options import uvicorn_options
from copperline.settings import Settings
from copperline.stage import Stage
from copperline.warehouse import open_warehouse
from copperline.workflows.alerting import AlertWatch

# A request waits no longer for another process's write: it is told to come back.
BUSY_S = 5.0
# Beside the time that a request may wait: for its answer to be sent.
_LAST_BYTES_S = 5.0
_KEEP_ALIVE_S = 15
_BACKLOG = 256
_STOP = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Server:
    """Where the service listens, and what inspects.

    Attributes:
        host: address; anything but loopback lets other machines in.
        port: TCP, 0 to 65535; 0: any free one.
        model: as `Detector.load` takes it; when its meaning changes, the new model takes over.
        tls: None: connections are not encrypted.
        open_to_network: other machines may do everything without a key.
    """

    host: str = "127.0.0.1"
    port: int = 8100
    model: str = "champion"
    tls: TlsFiles | None = None
    open_to_network: bool = False

    def url(self, port: int) -> str:
        """For people on this machine; `port` is the one that was really taken."""
        host = "localhost" if self.host in ("0.0.0.0", "::") else self.host
        return f"{'http' if self.tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"


def serve(settings: Settings, server: Server, *, listening: Callable[[str], None]) -> None:
    """Serves until SIGTERM or Ctrl-C; then nobody new is taken, and what was accepted is finished.

    Call it in the main thread.

    Args:
        listening: called with the URL when connections are taken.

    Raises:
        SettingsError: nothing can listen there, the files for TLS or a sink cannot be used, or other machines could
            reach a service without keys.
        ModelError: there is no such model, or it cannot be used.
        WarehouseError: the warehouse cannot be opened.
    """
    if server.tls is not None:
        server.tls.check()
    with listen(server.host, server.port, _BACKLOG) as listener, logs.on_stderr(settings.service_log):
        engine = open_warehouse(settings.warehouse, timeout_s=BUSY_S)
        try:
            require_keys(engine, server.host, open_to_network=server.open_to_network)
            stage, max_pixels = Stage(settings), settings.service_max_megapixels * 1_000_000
            inspector = LineInspector(
                Detector.load(server.model, settings=settings),
                engine,
                stage,
                sinks=settings.sinks_for(INSPECTION_COMPLETED),
                max_pixels=max_pixels,
                requires_reference=settings.line_requires_reference,
            )
            app = create_app(
                settings, engine, inspector, stage, model=server.model, host=server.host, max_pixels=max_pixels
            )
            config = uvicorn.Config(
                app,
                **uvicorn_options(ConnectionLimits.of(settings), server.tls),
                log_config=None,
                access_log=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=round(settings.service_timeout_s + _LAST_BYTES_S),
            )
            courier = Courier(engine, settings)
            listening(server.url(listener.getsockname()[1]))
            with _quiet_end(), courier, AlertWatch(engine, settings):
                uvicorn.Server(config).run(sockets=[listener])
        finally:
            engine.dispose()


@contextmanager
def _quiet_end() -> Iterator[None]:
    """uvicorn raises the signal that ended it once more when it is done; here that has done its work, so status 0."""

    def ignore(signum: int, frame: FrameType | None) -> None:
        return

    before = {number: signal.signal(number, ignore) for number in _STOP}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
