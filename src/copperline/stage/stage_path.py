"""A place on a Snowflake stage, spelled as Snowflake does: `@DATABASE.SCHEMA.STAGE/folder/file`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from copperline.errors import DataError, SettingsError
from copperline.snowflake_settings import SnowflakeSettings, quoted

_NAME = r'(?:[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+")'
_PLACE = re.compile(rf"@({_NAME}(?:\.{_NAME}){{0,2}})(?:/(.*))?", re.DOTALL)
_NAMES = re.compile(_NAME)
_PLAIN = re.compile(r"[A-Z_][A-Z0-9_$]*")
# What ends a text in SQL, or that PUT and GET take for a pattern or for a path of another system.
_REFUSED = frozenset("'\"\\*?[]")
_LONGEST = 255  # characters of a name


@dataclass(frozen=True, slots=True)
class StagePath:
    """A file or folder on a stage.

    Attributes:
        database, schema, stage: names as `SnowflakeSettings` has them.
        path: below the stage, without a slash at either end; empty: the whole stage.
    """

    database: str
    schema: str
    stage: str
    path: str = ""

    def __post_init__(self) -> None:
        require_path(self.path, str(self))

    @classmethod
    def parse(cls, text: str, names: SnowflakeSettings | None = None) -> StagePath:
        """From `@STAGE/path`, `@SCHEMA.STAGE/path` or `@DATABASE.SCHEMA.STAGE/path`; names may be in quotes.

        Args:
            names: says which database and schema are meant where the text does not; default: those of the settings.

        Raises:
            SettingsError: it names no stage.
            DataError: the path cannot be that of a file or folder, see `require_path`.

        >>> str(StagePath.parse("@model_stage/lot7/", SnowflakeSettings()))
        '@PCB_CV.PUBLIC.MODEL_STAGE/lot7'
        >>> str(StagePath.parse('@Lab.public."line 1"/B1.png'))
        '@LAB.PUBLIC."line 1"/B1.png'
        """
        found = _PLACE.fullmatch(text)
        if found is None:
            raise SettingsError(
                "expected a place on a Snowflake stage, found something else",
                where=text,
                fix='write @STAGE/folder or @DATABASE.SCHEMA.STAGE/folder, with other names than A-Z, 0-9 and _ in ""',
            )
        given = [_name(part, text) for part in _NAMES.findall(found[1])]
        if len(given) < 3:
            own = names or SnowflakeSettings()
            given = [own.database, own.schema_name][: 3 - len(given)] + given
        return cls(given[0], given[1], given[2], (found[2] or "").rstrip("/"))

    @classmethod
    def of_settings(cls, names: SnowflakeSettings, path: str = "") -> StagePath:
        """On the stage that the settings name; raises DataError as `parse`.

        >>> str(StagePath.of_settings(SnowflakeSettings(), "training/run-1"))
        '@PCB_CV.PUBLIC.MODEL_STAGE/training/run-1'
        """
        return cls(names.database, names.schema_name, names.stage, path)

    def __str__(self) -> str:
        place = ".".join(map(_shown, (self.database, self.schema, self.stage)))
        return f"@{place}/{self.path}" if self.path else f"@{place}"

    @property
    def in_sql(self) -> str:
        """As PUT, GET and LIST take it between quotes, with every name quoted."""
        stage = "@" + ".".join(map(quoted, (self.database, self.schema, self.stage)))
        return f"{stage}/{self.path}" if self.path else stage

    @property
    def parent(self) -> StagePath:
        return self.on_stage(self.path.rpartition("/")[0])

    @property
    def name(self) -> str:
        """The file's or folder's own name; empty for the stage itself."""
        return self.path.rpartition("/")[2]

    def on_stage(self, path: str) -> StagePath:
        """Another place on the same stage; empty: the stage itself."""
        return StagePath(self.database, self.schema, self.stage, path)

    def __truediv__(self, relative: str) -> StagePath:
        """The place below this one; raises DataError if `relative` leads elsewhere."""
        path = f"{self.path}/{relative}" if self.path else relative
        return self.on_stage(path)


def require_path(path: str, where: str) -> None:
    """Raises DataError unless it can be the path of a file or folder: relative, and nothing that SQL reads otherwise.

    Spaces and letters of every language are good. Refused are `.` and `..`, empty parts, spaces around a part, quotes,
    backslashes, the signs of patterns, and characters that do not show.
    """
    bad = next((sign for sign in path if sign in _REFUSED or not sign.isprintable()), None)
    if bad is not None:
        found = f"{bad!r} in it"
    elif path and any(part in ("", ".", "..") or part != part.strip() for part in path.split("/")):
        found = "'.', '..', an empty part or one with spaces around it"
    else:
        return
    raise DataError(f"expected a path that a stage can have, found {found}", where=where, fix="rename the file")


def _name(part: str, text: str) -> str:
    """In quotes a name keeps its letters; without, Snowflake keeps it in capitals."""
    name = part[1:-1].replace('""', '"') if part.startswith('"') else part.upper()
    if "/" in name or not name.isprintable() or len(name) > _LONGEST:
        raise SettingsError(
            f"expected a Snowflake name of at most {_LONGEST} printable characters and no slash, found {name!r}",
            where=text,
            fix="correct the name",
        )
    return name


def _shown(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else quoted(name)
