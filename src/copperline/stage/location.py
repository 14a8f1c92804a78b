"""Where a file is: a path of this machine, or a URL of an object store."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from copperline.errors import SettingsError

Location = Path | str
"""A path, or a URL as text: `Path` would make one slash of two."""

# At least two letters, so that a drive of Windows is none.
_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")


def is_url(text: str | os.PathLike[str]) -> bool:
    """Whether it is a URL, and not a path.

    >>> is_url("s3://boards/lot7"), is_url("boards/lot7"), is_url("C://boards")
    (True, False, False)
    """
    return _URL.match(os.fspath(text)) is not None


def location_of(text: str | os.PathLike[str]) -> Location:
    """What a user or a row calls a place: a URL as it is, else the absolute path; `file://` is a path too.

    Raises:
        SettingsError: the URL carries a password or key, which would end up in rows and logs; or names nothing.

    >>> location_of("s3://boards/lot7/"), location_of("file:///srv/lot%207").as_posix()
    ('s3://boards/lot7', '/srv/lot 7')
    """
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
