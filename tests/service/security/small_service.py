"""A small service behind the real gate, limits and protocol; run as a program, it is a server in its own process."""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Form, Request, UploadFile
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy import Engine

from copperline.access import Principal, Scope
from copperline.errors import CopperlineError
from copperline.service.limits import BodyLimits, FormLimits, RequestLimits, limited_forms
from copperline.service.problems import Problem, problem_of
from copperline.service.security import Gate, KeyFirst, allow
from copperline.service.slow_clients import ConnectionLimits
from copperline.service.uvicorn_options import uvicorn_options
from copperline.warehouse import open_warehouse


class Review(BaseModel):
    note: str


def make_app(gate: Gate, limits: BodyLimits | None = None) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await gate.close()

    app = FastAPI(lifespan=lifespan)
    app.state.gate = gate
    app.add_middleware(KeyFirst)
    app.add_middleware(RequestLimits, limits=limits)  # added last, so it is the first to see a request

    @app.exception_handler(Problem)
    async def of_problem(_: Request, problem: Problem) -> Response:
        return problem.response()

    @app.exception_handler(CopperlineError)
    async def of_product(_: Request, error: CopperlineError) -> Response:
        return problem_of(error).response()

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {}

    @app.get("/who")
    async def who(principal: Principal = Depends(allow())) -> dict[str, Any]:
        return {"name": principal.name, "key_id": principal.key_id, "scopes": sorted(principal.scopes)}

    forms = APIRouter(route_class=limited_forms(FormLimits(files=2, fields=4, field_bytes=1000)))

    @forms.post("/inspections")
    async def inspect(
        board_id: Annotated[str, Form()],
        image: UploadFile,
        reference: UploadFile | None = None,
        principal: Principal = Depends(allow(Scope.INSPECT)),
    ) -> dict[str, Any]:
        return {"by": principal.name, "board_id": board_id, "sizes": [image.size, reference and reference.size]}

    app.include_router(forms)

    @app.post("/reviews")
    async def review(body: Review, principal: Principal = Depends(allow(Scope.REVIEW, Scope.ADMIN))) -> dict[str, Any]:
        return {"by": principal.name, "note": body.note}

    @app.post("/count")
    async def count(request: Request) -> dict[str, int]:
        total = 0
        async for chunk in request.stream():
            total += len(chunk)
        return {"bytes": total}

    @app.get("/large")
    async def large() -> Response:
        return Response(bytes(32 * 1024 * 1024))

    @app.get("/slow")
    async def slow() -> dict[str, Any]:
        await asyncio.sleep(0.8)  # longer than heads may take
        return {}

    return app


def config(app: FastAPI, limits: ConnectionLimits | None = None, **options: Any) -> uvicorn.Config:
    own = uvicorn_options(limits or ConnectionLimits(), options.pop("tls", None))
    return uvicorn.Config(app, port=0, log_config=None, lifespan="on", **own, **options)


def gate_for(engine: Engine, **options: Any) -> Gate:
    return Gate(engine, **{"host": "127.0.0.1", "keys_seconds": 0.2, **options})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("warehouse")
    chosen = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)  # noqa: T201
    server = uvicorn.Server(config(make_app(gate_for(open_warehouse(chosen.warehouse)))))
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
