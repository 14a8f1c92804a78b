"""How the service's uvicorn differs from uvicorn's defaults, in one place."""

from __future__ import annotations

from typing import Any

from copperline.service.slow_clients import ConnectionLimits, limited_protocol
from copperline.service.tls import TlsFiles


def uvicorn_options(limits: ConnectionLimits, tls: TlsFiles | None = None) -> dict[str, Any]:
    """For `uvicorn.Config(app, ...)`: limits of connections, no WebSockets, TLS; call `TlsFiles.check` before."""
    options = {"http": limited_protocol(limits), "ws": "none", "server_header": False}
    return options if tls is None else {**options, **tls.uvicorn_options()}
