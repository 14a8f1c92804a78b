"""The one error hierarchy.

Every message is one line that says where the problem is, what was expected, what was found and what to do.
Commands print it to stderr and exit with status 1; a traceback means a bug in Copperline.
"""

from __future__ import annotations

import os


class CopperlineError(Exception):
    """Base of all errors that a user can act on.

    Args:
        problem: what was expected and what was found.
        where: the file, folder, URL or object that the problem is in.
        line: 1-based line in `where`, for text files.
        fix: what the user can do about it.

    >>> print(CopperlineError("expected 5 numbers, found 4", where="a.txt", line=3, fix="correct the line"))
    a.txt:3: expected 5 numbers, found 4; correct the line
    """

    def __init__(
        self,
        problem: str,
        *,
        where: str | os.PathLike[str] | None = None,
        line: int | None = None,
        fix: str | None = None,
    ) -> None:
        self.problem = problem
        self.where = None if where is None else os.fspath(where)
        self.line = line
        self.fix = fix
        super().__init__(problem)

    def __str__(self) -> str:
        place = "" if self.where is None else f"{self.where}:" if self.line is None else f"{self.where}:{self.line}:"
        return " ".join(f"{place} {self.without_place}".split())

    @property
    def without_place(self) -> str:
        """The message for those who need not know where files and databases lie."""
        text = f"{self.problem}; {self.fix}" if self.fix else self.problem
        return " ".join(text.split())


class SettingsError(CopperlineError):
    """A setting, option or argument has a value that cannot be used."""


class DataError(CopperlineError):
    """An image, annotation, split file or data set is missing, damaged or inconsistent."""


class DamagedImageError(DataError):
    """A file is no whole image: empty, cut off or damaged. One that is still being written looks so too."""


class StageError(CopperlineError):
    """The stage that images lie on cannot be reached or refuses: no network, no keys, no rights."""


class ModelError(CopperlineError):
    """A model file, checkpoint or registry entry is missing, damaged or does not fit the task."""


class TrainingError(CopperlineError):
    """Training cannot start or cannot go on (for example, the loss is not finite)."""


class ClusterError(CopperlineError):
    """The Ray cluster cannot be reached, is too small, is of another version, or lost too much of itself."""


class SnowflakeError(CopperlineError):
    """A Snowflake account cannot be reached, refuses, or lacks an object or a privilege."""


class WarehouseError(CopperlineError):
    """The warehouse cannot be opened, read or written, or a query is not allowed."""


class NotFoundError(WarehouseError):
    """What was asked for by its id is not in the warehouse."""


class ServiceError(CopperlineError):
    """The HTTP service refuses, cannot be reached, or is another program.

    Attributes:
        status: of HTTP; None: no answer came.
        kind: the last part of the problem's type, such as `queue-full`; None: it gave none.
    """

    def __init__(
        self,
        problem: str,
        *,
        where: str | None = None,
        fix: str | None = None,
        status: int | None = None,
        kind: str | None = None,
    ) -> None:
        super().__init__(problem, where=where, fix=fix)
        self.status = status
        self.kind = kind
