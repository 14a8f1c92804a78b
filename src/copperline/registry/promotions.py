"""Who pointed which alias to which version, when and why: a file that is only ever appended to.

One JSON object a line, beside the model files, and not tags in MLflow: a tag can be overwritten by anybody who has its
key and holds a few thousand characters, while a line, once on the disk, stays, can be read without MLflow and goes
along when the workspace is moved or backed up.

A line is written, and is on the disk, before the alias moves: an alias never moves without one. If moving it then
fails, a second line says so.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from copperline.errors import ModelError

HISTORY_FILE = "promotions.jsonl"
BUSY_SECONDS = 30.0


class Promotion(BaseModel):
    """An alias was pointed to a version.

    Attributes:
        id: of this promotion.
        at: UTC.
        by: e-mail address or account.
        alias: `champion`, `challenger` or another.
        from_version: that it pointed to before; None: to none.
        to_version: that it points to since.
        reason: in the words of who did it.
        failed: why the alias could not be moved after all; empty: it was moved.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    by: str = Field(min_length=1, max_length=255)
    alias: str
    from_version: int | None
    to_version: int
    reason: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """Attributes:
    promotions: those that took effect, the oldest first.
    failed: those that did not.
    damaged: numbers of the lines (from 1) that cannot be read, as a power failure can leave one.
    """

    promotions: tuple[Promotion, ...] = ()
    failed: tuple[Promotion, ...] = ()
    damaged: tuple[int, ...] = ()

    @classmethod
    def of(cls, everything: Iterable[Promotion], damaged: Sequence[int]) -> History:
        """Of promotions in order, of which some failed."""
        known = tuple(everything)
        return cls(tuple(p for p in known if not p.failed), tuple(p for p in known if p.failed), tuple(damaged))

    def last(self, alias: str) -> Promotion | None:
        """The newest of this alias."""
        return next((p for p in reversed(self.promotions) if p.alias == alias), None)

    def before(self, alias: str, version: int) -> int | None:
        """The version that `alias` pointed to before it pointed to `version`, for rolling back; None: not known.

        Nor is it known when the newest line names another version than `version`, as after a change made in MLflow.
        """
        newest = self.last(alias)
        return None if newest is None or newest.to_version != version else newest.from_version


def require_as_decided(alias: str, expected: int | Literal["any"] | None, now: int | None, where: str) -> None:
    """Raises ModelError unless `alias` points to the version that it pointed to when somebody decided."""
    if expected not in ("any", now):
        raise ModelError(
            f"expected {alias!r} to be {_named(expected)}, as when this was decided, found {_named(now)}: "
            "somebody changed it meanwhile",
            where=where,
            fix="look at the versions again and decide anew; the alias was not moved",
        )


def _named(version: int | str | None) -> str:
    return "no version" if version is None else f"version {version}"


@contextmanager
def recorded(promotion: Promotion, append: Callable[[Promotion], None]) -> Iterator[None]:
    """Writes the promotion down before the alias is moved inside, and that it failed if that raises ModelError."""
    append(promotion)
    try:
        yield
    except ModelError as error:
        append(promotion.model_copy(update={"failed": error.problem}))
        raise


class PromotionLog:
    """The file in `folder`, which is made with the first line."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / HISTORY_FILE

    def read(self) -> History:
        """Raises ModelError if the file is there and cannot be read."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return History()
        except OSError as error:
            raise self._unusable("read", error) from error
        found: dict[str, Promotion] = {}
        damaged = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                promotion = Promotion.model_validate_json(line)
            except ValidationError:
                damaged.append(number)  # told to whoever asks for the history
                continue
            found[promotion.id] = promotion
        return History.of(found.values(), damaged)

    def append(self, promotion: Promotion) -> None:
        """One line more, on the disk when this returns; only while `locked`. Raises ModelError if it cannot be."""
        line = promotion.model_dump_json().encode() + b"\n"
        try:
            with self.path.open("a+b") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # half a line of a writer that was killed: ours must not hang on to it
                        line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unusable("written", error) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the history, and with it the aliases, for one promotion; raises ModelError if another one hangs."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", timeout=BUSY_SECONDS):
                yield
        except Timeout as error:
            raise ModelError(
                f"expected other promotions to end within {BUSY_SECONDS:.0f} s, found one that still goes on",
                where=self.path,
                fix="end the process that holds it, and try again",
            ) from error
        except OSError as error:
            raise self._unusable("written", error) from error

    def _unusable(self, how: str, error: OSError) -> ModelError:
        return ModelError(
            f"expected a history of promotions, found that it cannot be {how} ({error.strerror})",
            where=self.path,
            fix="check the rights on the workspace and the room on its disk; without it no alias is moved",
        )
