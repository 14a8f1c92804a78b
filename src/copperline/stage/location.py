"""Where a file is: a path of this machine, a URL of an object store, or a place on a Snowflake stage."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from copperline.errors import SettingsError
from copperline.settings import Settings
from copperline.stage.stage_path import StagePath

Location = Path | str
"""A path, or as text a URL, of which `Path` would make one slash of two, or a place on a stage of Snowflake."""

# At least two letters, so that a drive of Windows is none.
_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")


def is_url(text: str | os.PathLike[str]) -> bool:
    """Whether it is a URL or a place on a Snowflake stage, and not a path.

    >>> is_url("s3://boards/lot7"), is_url("@MODEL_STAGE/lot7"), is_url("boards/lot7"), is_url("C://boards")
    (True, True, False, False)
    """
    return on_snowflake(text) or _URL.match(os.fspath(text)) is not None


def on_snowflake(text: str | os.PathLike[str]) -> bool:
    """Whether it is a place on a Snowflake stage: a text that begins with `@`; a folder of that name is `./@...`."""
    return isinstance(text, str) and text.startswith("@")


def location_of(text: str | os.PathLike[str]) -> Location:
    """What a user or a row calls a place: a URL as it is, else the absolute path; `file://` is a path too.

    A place on a Snowflake stage gets database and schema of the settings if it has none.

    Raises:
        SettingsError: the URL carries a password or key, which would end up in rows and logs; or names nothing.
        DataError: no file on a stage can have that path.

    >>> location_of("s3://boards/lot7/"), location_of("file:///srv/lot%207").as_posix()
    ('s3://boards/lot7', '/srv/lot 7')
    """
    if isinstance(text, str) and on_snowflake(text):
        return str(StagePath.parse(text, Settings.load().snowflake))
    found = _URL.match(os.fspath(text))
    if found is None:
        return Path(text).absolute()
    url, scheme = os.fspath(text), found[1].lower()
    # From here on nothing of the URL is said before it is known to hold no secret.
    if "@" in url[found.end() :].partition("/")[0]:
        raise SettingsError(
            f"expected a {scheme} URL without user name, key or password",
            fix="give those in the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in a profile",
        )
    if scheme == "file":
        return Path(unquote(urlsplit(url).path)).absolute()
    rest = url[found.end() :].rstrip("/")
    if not rest:
        raise SettingsError("expected a URL that names a place, found none", where=url, fix="write s3://BUCKET/FOLDER")
    return f"{scheme}://{rest}"


def name_of(location: Location) -> str:
    """The file's own name.

    >>> name_of("s3://boards/lot7/B1_test.png")
    'B1_test.png'
    """
    return location.name if isinstance(location, Path) else PurePosixPath(location).name
