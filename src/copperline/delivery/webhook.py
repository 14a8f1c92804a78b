"""HTTP POST of each event, signed by the Standard Webhooks convention."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from copperline.delivery.messages import CONTENT_TYPE, Message, message_of
from copperline.delivery.signing import require_secret, signed_headers
from copperline.delivery.sinks import Outcome, secret_of
from copperline.errors import DataError
from copperline.sink_settings import WebhookSink
from copperline.warehouse import Event
from copperline.warehouse.outbox import Failure

# Of an answer's body: enough for a message, and no more is read.
_ANSWER_BYTES = 300


class Webhook:
    """A sink; see `copperline.delivery.sinks.Sink`.

    An answer of 2xx is delivered. 410 is final: nobody is there any more. All else is tried again; 429 and 503 may say
    when. Redirects are not followed: a signed message goes to the address that was agreed, or nowhere.
    """

    batch = 20
    pause_s = 0.0

    def __init__(self, settings: WebhookSink) -> None:
        self.name = settings.name
        self.max_attempts = settings.max_attempts
        self.send_s = 2 * settings.timeout_s  # to connect, and to answer
        self._settings = settings
        secrets = (secret_of(name, self.name) for name in (settings.secret_env, settings.previous_secret_env))
        self._secrets = tuple(require_secret(s, f"sink {self.name!r}") for s in secrets if s is not None)
        self._token = secret_of(settings.token_env, self.name)
        self._session = requests.Session()

    def ready(self) -> bool:
        return True

    def close(self) -> None:
        self._session.close()

    def send(self, events: Sequence[Event]) -> Iterator[tuple[str, Outcome]]:
        for event in events:
            yield event.event_id, self._send(event)

    def _send(self, event: Event) -> Outcome:
        try:
            message = message_of(event, self._settings.format)
        except DataError as error:
            return Failure(str(error), final=True)
        try:
            with self._session.post(
                self._settings.url,
                data=message.body,
                headers=self._headers(message),
                auth=_as_it_is,
                timeout=self._settings.timeout_s,
                allow_redirects=False,
                stream=True,
            ) as answer:
                return _outcome(answer)
        except requests.Timeout:
            return Failure(f"no answer within {self._settings.timeout_s:g} s")
        except (requests.RequestException, UnicodeError) as error:
            return Failure(_words(error))

    def _headers(self, message: Message) -> dict[str, str]:
        headers = {
            "content-type": CONTENT_TYPE,
            "user-agent": "copperline",
            **signed_headers(message.event_id, int(time.time()), message.body, self._secrets),
        }
        return headers | ({} if self._token is None else {"authorization": f"Bearer {self._token}"})


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Instead of what the account's .netrc may say of this host."""
    return request


def _outcome(answer: requests.Response) -> Outcome:
    if 200 <= answer.status_code < 300:
        return None
    reason = f"HTTP {answer.status_code} {answer.reason or ''}".strip()
    if answer.is_redirect:
        return Failure(f"{reason}: redirects are not followed")
    try:
        said = next(answer.iter_content(_ANSWER_BYTES), b"").decode(errors="replace")
    except requests.RequestException:
        said = ""  # the status is the answer; its text only explains it
    reason = " ".join(f"{reason}: {said}".split()) if said.strip() else reason
    asked = _retry_after(answer.headers.get("retry-after")) if answer.status_code in (429, 503) else None
    return Failure(reason, final=answer.status_code == 410, retry_after_s=asked)


def _retry_after(value: str | None) -> float | None:
    """Seconds from now; the header has seconds or a date.

    >>> _retry_after("120"), _retry_after("soon"), _retry_after("Thu, 01 Jan 1970 00:00:00 GMT")
    (120.0, None, 0.0)
    """
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.utcoffset() is not None else at.replace(tzinfo=UTC)
    return max((at - datetime.now(UTC)).total_seconds(), 0.0)


def _words(error: Exception) -> str:
    """Of a failed connection: the innermost cause says most, and the URL in the outer ones may hold a key."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return f"no connection: {getattr(cause, 'strerror', None) or type(cause).__name__}"
