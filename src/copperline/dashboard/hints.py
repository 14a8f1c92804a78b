"""Has a browser load the code of charts while the server still makes the page.

Streamlit's page asks for it when the first chart arrives: 4.7 MB to fetch, and half a second of work before anything
can be drawn. Named in the page itself, that is done while the browser would otherwise wait for the server.
"""

from __future__ import annotations

from pathlib import Path

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Its name has a hash that changes with Streamlit's version.
CHARTS = "PlotlyChart.*.js"
END_OF_HEAD = b"</head>"


class LoadChartsEarly:
    """ASGI middleware that adds a script tag to the one HTML page that Streamlit serves.

    Where Streamlit's files have another layout nothing is added, and charts are loaded as Streamlit does it.

    Args:
        app: the rest of the server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.tag = script_tag(Path(streamlit.__file__).parent / "static" / "static" / "js")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wants_page = scope["type"] == "http" and "text/html" in Headers(scope=scope).get("accept", "")
        if not (wants_page and self.tag):
            await self.app(scope, receive, send)
            return
        # A compressed page could not be added to.
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        page = _Page(send, self.tag)
        await self.app({**scope, "headers": plain}, receive, page.send)


class _Page:
    """Holds a response's start back until its length is known."""

    def __init__(self, send: Send, tag: bytes) -> None:
        self._send, self._tag = send, tag
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)
        else:
            await self._send(message)

    async def _finish(self, start: Message) -> None:
        headers = MutableHeaders(scope=start)
        if headers.get("content-type", "").startswith("text/html"):
            self._body = self._body.replace(END_OF_HEAD, self._tag + END_OF_HEAD, 1)
            headers["content-length"] = str(len(self._body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": self._body})


def script_tag(folder: Path) -> bytes:
    """For the code of charts in Streamlit's `folder` of scripts; empty where it is not there."""
    files = sorted(folder.glob(CHARTS))
    # Relative, as Streamlit's own are: it may be served below another path.
    return (
        f'<script type="module" async crossorigin src="./static/js/{files[0].name}"></script>'.encode()
        if files
        else b""
    )
