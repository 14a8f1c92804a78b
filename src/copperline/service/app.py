"""The app: routes, errors, and what works behind them, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio.to_thread
from fastapi import FastAPI
from sqlalchemy import Engine

from copperline.line import LineInspector
from copperline.service import handlers, openapi
from copperline.service.desk import Desk
from copperline.service.lane import Lane
from copperline.service.limits import BodyLimits, RequestLimits
from copperline.service.metrics import Metrics
from copperline.service.model_watch import ServiceModelWatch
from copperline.service.observe import Observe
from copperline.service.pieces import Pieces
from copperline.service.readiness import Readiness
from copperline.service.routes import (
    boards,
    dispositions,
    health,
    inspections,
    models,
    quality,
    references,
    stations,
)
from copperline.service.security import Gate, KeyFirst
from copperline.settings import Settings
from copperline.stage import Stage

# Decoding releases the interpreter's lock; more threads than this only hold more images in memory.
_MOST_DECODERS = 4
# Routes that read the warehouse run in threads, no more of them than SQLAlchemy keeps connections (5, and 10 more).
_READERS = 12


def create_app(
    settings: Settings,
    engine: Engine,
    inspector: LineInspector,
    stage: Stage,
    *,
    model: str = "champion",
    host: str = "127.0.0.1",
    max_pixels: int | None = None,
) -> FastAPI:
    """The service as an ASGI app. Its threads begin with the app's lifespan, and end with it.

    Args:
        engine: of the warehouse; the caller disposes of it.
        inspector: with the model that inspects first.
        model: the name to watch, as `Detector.load` takes it.
        host: that the server listens on; without keys, a service on loopback answers this machine alone.
        max_pixels: of one image.
    """
    metrics = Metrics()
    lane = Lane(inspector, metrics, capacity=settings.service_queue, batch=settings.service_batch)
    pieces = Pieces(
        settings=settings,
        engine=engine,
        stage=stage,
        inspector=inspector,
        metrics=metrics,
        lane=lane,
        desk=Desk(
            inspector,
            lane,
            metrics,
            timeout_s=settings.service_timeout_s,
            decoders=min(settings.cores, _MOST_DECODERS),
        ),
        watch=ServiceModelWatch(
            settings,
            model,
            inspector,
            metrics,
            poll_s=settings.service_model_poll_s,
            typical_size=lambda: lane.typical_size,
        ),
        readiness=Readiness(engine, stage, lane),
        max_pixels=max_pixels,
    )
    app = FastAPI(
        title="Copperline",
        version=version("copperline"),
        lifespan=_lifespan,
        # Pages of documentation would load their scripts from another company's servers.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # What it would tell goes to Prometheus, and nothing leaves the house because a variable is set somewhere.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.pieces = pieces
    app.state.gate = Gate(
        engine, host=host, rate_limit=settings.service_rate_limit, rate_burst=settings.service_rate_burst
    )
    # Middleware that is added later is nearer to the client: Observe sees what the others refuse.
    app.add_middleware(KeyFirst)
    app.add_middleware(RequestLimits, limits=BodyLimits.of(settings))
    app.add_middleware(Observe, metrics=metrics)
    handlers.install(app, metrics)
    for routes in (inspections, boards, dispositions, quality, models, stations, references, health):
        app.include_router(routes.router)
    openapi.describe(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    pieces: Pieces = app.state.pieces
    anyio.to_thread.current_default_thread_limiter().total_tokens = _READERS
    pieces.lane.start()
    pieces.watch.start()
    try:
        yield
    finally:
        await pieces.desk.close()
        await anyio.to_thread.run_sync(pieces.lane.stop)
        await anyio.to_thread.run_sync(pieces.watch.stop)
        await app.state.gate.close()
