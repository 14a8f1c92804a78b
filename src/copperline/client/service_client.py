"""`Client`: each request of the service as a method, tried again where that does no harm."""

from __future__ import annotations

import contextlib
import json
import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote

import httpx

from copperline.client.documents import Inspection, Judgement, Reference, Station
from copperline.errors import ServiceError
from copperline.files import read_whole
from copperline.taxonomy import Call

# Waits before tries: full jitter over a doubling time, so that many clients do not come back at the same moment.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 20.0
# What a service may ask for with Retry-After before the client gives in to its own patience.
_LONGEST_RETRY_AFTER_S = 60.0
_TRY_AGAIN = frozenset({429, 503, 504})


class Client:
    """The HTTP service, from Python.

    What can be repeated without harm is tried again, after a growing pause, when the connection fails or the service
    says 429, 503 or 504; an inspection can, because it goes with an idempotency key.

    Args:
        url: of the service.
        key: an API key; None where the service needs none.
        timeout_s: for each try: to connect, and between two pieces of the answer.
        retries: tries after the first.
        verify: False, to take any TLS certificate; or the file of the authority that signed it.
        transport: of httpx, to reach the service in another way.

    Raises:
        ServiceError: from each method: what the service said, or that it did not answer.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8100",
        *,
        key: str | None = None,
        timeout_s: float = 10.0,
        retries: int = 5,
        verify: bool | str = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"User-Agent": "copperline-client"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
        try:
            self._http = httpx.Client(
                base_url=url, headers=headers, timeout=timeout_s, verify=_trust(verify), transport=transport
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise ServiceError(f"expected a URL and a key in ASCII, found neither ({error})", where=url) from error
        self.url = url
        self._retries = retries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def inspect(
        self,
        image: Path | bytes,
        *,
        board_id: str,
        station_id: str,
        reference: Path | bytes | None = None,
        reference_id: str | None = None,
        product_type: str | None = None,
        revision: str = "",
        line_id: str | None = None,
        panel_id: str | None = None,
        conditioning: Mapping[str, Any] | None = None,
        simulated: bool = False,
        idempotency_key: str | None = None,
    ) -> Inspection:
        """Inspects a board. With the same `idempotency_key` it is inspected once, however often this is called.

        Args:
            image, reference: files, or their bytes.
            conditioning: recipe for both images where the reference is not of the library.
            idempotency_key: default: a new one for each call, which its own repetitions share.

        Raises:
            DataError: a file cannot be read.
        """
        files = {"image": ("image", _bytes(image), "application/octet-stream")}
        if reference is not None:
            files["reference"] = ("reference", _bytes(reference), "application/octet-stream")
        fields = {
            "board_id": board_id,
            "station_id": station_id,
            "reference_id": reference_id,
            "product_type": product_type,
            "revision": revision or None,
            "line_id": line_id,
            "panel_id": panel_id,
            "conditioning": None if conditioning is None else json.dumps(conditioning),
            "simulated": "true" if simulated else None,
        }
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        found = self._json("POST", "/v1/inspections", repeatable=True, files=files, data=_told(fields), headers=headers)
        return cast(Inspection, found)

    def inspections(
        self,
        *,
        board_id: str | None = None,
        station_id: str | None = None,
        line_id: str | None = None,
        product_type: str | None = None,
        call: Call | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        page: int = 100,
    ) -> Iterator[Inspection]:
        """The newest first, read page by page as they are wanted; times with their zone."""
        asked = {
            "board_id": board_id,
            "station_id": station_id,
            "line_id": line_id,
            "product_type": product_type,
            "call": call,
            "since": None if since is None else since.isoformat(),
            "until": None if until is None else until.isoformat(),
            "limit": page,
        }
        cursor: str | None = None
        while True:
            found = self._json("GET", "/v1/inspections", params=_told(asked | {"cursor": cursor}))
            yield from cast(list[Inspection], found["inspections"])
            cursor = found["next_cursor"]
            if cursor is None:
                return

    def inspection(self, inspection_id: str) -> Inspection:
        return cast(Inspection, self._json("GET", f"/v1/inspections/{_segment(inspection_id)}"))

    def board(self, board_id: str) -> dict[str, Any]:
        """Everything that is known of a board: inspections with images, model and dispositions."""
        return self._json("GET", f"/v1/boards/{_segment(board_id)}")

    def judge(self, *judgements: Judgement, reviewer: str | None = None) -> tuple[str, ...]:
        """Records what one person decided, all or nothing; gives the disposition_ids.

        Args:
            reviewer: who decided, where the service needs no key; else the key's name is recorded.
        """
        body = _told({"judgements": list(judgements), "reviewer": reviewer})
        found = self._json("POST", "/v1/dispositions", repeatable=False, json=body)
        return tuple(d["disposition_id"] for d in found["dispositions"])

    def quality(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        lines: Sequence[str] = (),
        products: Sequence[str] = (),
        models: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Figures of a period, which the service cuts at full UTC hours; `models` as NAME:VERSION."""
        asked = {
            "since": None if since is None else since.isoformat(),
            "until": None if until is None else until.isoformat(),
            "line": list(lines) or None,
            "product": list(products) or None,
            "model": list(models) or None,
        }
        return self._json("GET", "/v1/quality", params=_told(asked))

    def models(self) -> dict[str, Any]:
        """Versions, aliases, and the one that inspects now."""
        return self._json("GET", "/v1/models")

    def promote(self, version: str, *, alias: str = "champion", reason: str = "") -> dict[str, Any]:
        """Points an alias to a version."""
        body = {"version": version, "alias": alias, "reason": reason}
        return self._json("POST", "/v1/promotions", repeatable=False, json=body)

    def stations(self) -> list[Station]:
        return cast(list[Station], self._json("GET", "/v1/stations")["stations"])

    def references(self, *, product_type: str | None = None, retired: bool = False) -> list[Reference]:
        """By product and revision, the newest version first; `retired`: also those out of use."""
        asked = {"product_type": product_type, "retired": "true" if retired else None}
        return cast(list[Reference], self._json("GET", "/v1/references", params=_told(asked))["references"])

    def reference(self, reference_id: str) -> Reference:
        return cast(Reference, self._json("GET", f"/v1/references/{_segment(reference_id)}"))

    def reference_image(self, reference_id: str) -> bytes:
        """The file as it was given."""
        return self._send("GET", f"/v1/references/{_segment(reference_id)}/image").content

    def add_reference(
        self,
        image: Path | bytes,
        *,
        product_type: str,
        revision: str = "",
        conditioning: Mapping[str, Any] | None = None,
        opportunities: int | None = None,
        note: str | None = None,
    ) -> Reference:
        """Adds the next version of a product's golden image; raises DataError if the file cannot be read."""
        fields = {
            "product_type": product_type,
            "revision": revision or None,
            "conditioning": None if conditioning is None else json.dumps(conditioning),
            "opportunities": opportunities,
            "note": note,
        }
        files = {"image": ("image", _bytes(image), "application/octet-stream")}
        return cast(Reference, self._json("POST", "/v1/references", repeatable=False, files=files, data=_told(fields)))

    def retire_reference(self, reference_id: str) -> Reference:
        """Takes a version out of use."""
        return cast(Reference, self._json("DELETE", f"/v1/references/{_segment(reference_id)}"))

    def ready(self) -> bool:
        """Whether the service can inspect now; asked once, without a second try."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _json(self, method: str, path: str, *, repeatable: bool = True, **content: Any) -> dict[str, Any]:
        response = self._send(method, path, repeatable=repeatable, **content)
        with contextlib.suppress(ValueError):
            found = response.json()
            if isinstance(found, dict):
                return found
        raise ServiceError(
            "expected a JSON object, found another answer",
            where=self._where(path),
            fix="check that the URL is that of a Copperline service",
            status=response.status_code,
        )

    def _send(self, method: str, path: str, *, repeatable: bool = True, **content: Any) -> httpx.Response:
        tries_left = self._retries
        while True:
            again, asked_for = False, None
            try:
                response = self._http.request(method, path, **content)
            except httpx.TransportError as error:
                # Before there was a connection nothing can have been done.
                unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                again = (repeatable or unsent) and not isinstance(error, httpx.UnsupportedProtocol)
                if not again or not tries_left:
                    raise self._unreachable(path, error) from error
            else:
                # A 504 means: it may have been done.
                again = response.status_code in _TRY_AGAIN and (repeatable or response.status_code != 504)
                if not again or not tries_left:
                    return self._checked(path, response)
                asked_for = _retry_after(response)
            time.sleep(_pause(self._retries - tries_left, asked_for))
            tries_left -= 1

    def _checked(self, path: str, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        document: dict[str, Any] = {}
        with contextlib.suppress(ValueError):
            found = response.json()
            document = found if isinstance(found, dict) else {}
        details = [f"{e.get('field')}: {e.get('problem')}" for e in document.get("errors", ()) if isinstance(e, dict)]
        said = "; ".join([str(document.get("detail") or document.get("title") or response.reason_phrase), *details])
        kind = str(document["type"]).rpartition(":")[2] if "type" in document else None
        raise ServiceError(
            f"the service says {response.status_code}: {said}",
            where=self._where(path),
            status=response.status_code,
            kind=kind,
        )

    def _unreachable(self, path: str, error: httpx.TransportError) -> ServiceError:
        return ServiceError(
            f"expected an answer of the service, found none ({error or type(error).__name__})",
            where=self._where(path),
            fix="check the URL, and that `copperline serve` runs",
        )

    def _where(self, path: str) -> str:
        return f"{self.url.rstrip('/')}{path}"


def _trust(verify: bool | str) -> Any:
    if isinstance(verify, bool):
        return verify
    import ssl

    try:
        return ssl.create_default_context(cafile=verify)
    except OSError as error:
        raise ServiceError(
            f"expected the certificate of an authority (PEM), found none ({error.strerror or error})", where=verify
        ) from error


def _bytes(image: Path | bytes) -> bytes:
    return image if isinstance(image, bytes) else read_whole(image)


def _told(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _segment(key: str) -> str:
    """An id as one segment of a path.

    >>> _segment("A/7 ?"), _segment("..")
    ('A%2F7%20%3F', '%2E%2E')
    """
    # A dot alone would be taken for a step in the tree of paths.
    return quote(key, safe="") if key.strip(".") else "%2E" * len(key)


def _pause(turn: int, asked_for: float | None) -> float:
    """Seconds to wait before try `turn` + 1 (from 0); never less than the service asked for."""
    jitter = random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**turn))
    return jitter + (0.0 if asked_for is None else min(asked_for, _LONGEST_RETRY_AFTER_S))


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds; the header has a number of them, or a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    with contextlib.suppress(ValueError):
        when = parsedate_to_datetime(text)
        return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return None
