from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit")

import streamlit

from copperline.dashboard.hints import LoadChartsEarly, script_tag

PAGE = b"<html><head><title>t</title></head><body></body></html>"


def answer(
    accept: str, content_type: bytes, parts: list[bytes]
) -> tuple[dict[bytes, bytes], bytes, dict[bytes, bytes]]:
    """Headers and body as they leave the middleware, and the headers of the request that went in."""
    asked: dict[bytes, bytes] = {}
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.update(dict(scope["headers"]))
        length = str(sum(map(len, parts))).encode()
        headers = [(b"content-type", content_type), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number, part in enumerate(parts, 1):
            await send({"type": "http.response.body", "body": part, "more_body": number < len(parts)})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    headers = [(b"accept", accept.encode()), (b"accept-encoding", b"gzip")]
    served = LoadChartsEarly(app)({"type": "http", "headers": headers}, receive, send)
    # In a thread of its own: this one may have the loop of another test's browser.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, served).result()
    return dict(sent[0]["headers"]), b"".join(message["body"] for message in sent[1:]), asked


def test_the_page_names_the_code_of_charts() -> None:
    headers, body, asked = answer("text/html,*/*", b"text/html; charset=utf-8", [PAGE[:20], PAGE[20:]])
    folder = Path(streamlit.__file__).parent / "static" / "static" / "js"
    tag = script_tag(folder)
    assert tag, "Streamlit's files have another layout: charts load late, see hints.py"
    assert body == PAGE.replace(b"</head>", tag + b"</head>")
    assert headers[b"content-length"] == str(len(body)).encode()
    assert b"accept-encoding" not in asked


def test_all_else_passes_unchanged() -> None:
    script = answer("*/*", b"text/javascript", [b"let x = '</head>'"])
    assert script[1] == b"let x = '</head>'"
    assert script[2][b"accept-encoding"] == b"gzip"
    picture = answer("text/html", b"image/png", [b"</head>"])
    assert picture[1] == b"</head>"


def test_without_such_a_file_nothing_is_added(tmp_path: Path) -> None:
    assert script_tag(tmp_path) == b""
    (tmp_path / "PlotlyChart.a1.js").touch()
    assert b'src="./static/js/PlotlyChart.a1.js"' in script_tag(tmp_path)
