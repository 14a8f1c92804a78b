"""URLs, through fsspec: S3 and what speaks its protocol, and every other file system that fsspec has a driver for.

Keys and endpoints come from where the drivers look for them by themselves: variables of the environment, profiles,
fsspec's own configuration. A request that gets no answer ends within seconds, and is tried three times.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from copperline.errors import DataError, SettingsError, StageError
from copperline.stage.location import is_url

_TRIES = 3
_CONNECT_S, _ANSWER_S = 5, 30  # one request
_READ_S = 300  # one file, all tries together
_LIST_S = 3600  # a listing: a thousand objects a request, so this is for tens of millions
_S3 = frozenset({"s3", "s3a"})
# Codes of S3 that mean: these keys, here, now. More of them are PermissionError by the driver's own table.
_REFUSED = ("SignatureDoesNotMatch", "InvalidAccessKeyId", "AuthorizationHeaderMalformed", "RequestTimeTooSkewed")
# What drivers call the time of the last change; a number is seconds since 1970.
_CHANGED = ("LastModified", "last_modified", "mtime", "updated", "created")


def find(url: str) -> Iterator[tuple[str, int, datetime | None]]:
    """URL, bytes and time of last change of every file below `url`.

    Raises:
        DataError: no such bucket, or nothing below the URL.
        StageError: the stage cannot be reached, or refuses.
    """
    with stage_errors(url):
        system, path = _opened(url)
        system.invalidate_cache()
        entries = system.find(path, detail=True, **_limit(system, _LIST_S))
    for name, entry in entries.items():
        if not name.endswith("/"):  # what some tools write to show an empty folder
            yield system.unstrip_protocol(name), int(entry.get("size") or 0), _changed_at(entry)


def read(url: str, end: int | None = None) -> bytes:
    """The bytes of the file, up to `end`; raises DataError if it is not there, StageError as `find` does."""
    with stage_errors(url):
        system, path = _opened(url)
        data: bytes = system.cat_file(path, end=end, **_limit(system, _READ_S))
        return data


def _opened(url: str) -> tuple[Any, str]:
    """The file system, the same each time for a scheme, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise SettingsError(
            "a URL needs fsspec, which is not installed", where=url, fix="pip install 'copperline[s3]'"
        ) from error
    scheme = url.partition("://")[0]
    system, path = url_to_fs(url, **(_s3_options(scheme) if scheme in _S3 else {}))
    if scheme in _S3:
        system.retries = _TRIES
    return system, str(path)


def _s3_options(scheme: str) -> dict[str, Any]:
    from fsspec.config import conf

    # The driver tries again by itself; botocore's tries would multiply with those.
    request = {"connect_timeout": _CONNECT_S, "read_timeout": _ANSWER_S, "retries": {"total_max_attempts": 1}}
    own = conf.get(scheme, {}).get("config_kwargs", {})
    # In one piece: a file that is replaced meanwhile must not come half from the one and half from the other.
    return {"config_kwargs": {**request, **own}, "use_listings_cache": False, "max_concurrency": 1}


def _limit(system: Any, seconds: float) -> dict[str, float]:
    """The limit for one call, where the driver has one: those that work asynchronously."""
    return {"timeout": seconds} if getattr(system, "async_impl", False) else {}


def _changed_at(entry: dict[str, Any]) -> datetime | None:
    for name in _CHANGED:
        value = entry.get(name)
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                continue
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


@contextmanager
def stage_errors(where: str) -> Iterator[None]:
    """Tells what a driver raises in one line, without the requests' headers and signatures."""
    try:
        yield
    except FileNotFoundError as error:
        found = "no such bucket" if "bucket does not exist" in str(error) else "no such file"
        raise DataError(
            f"expected a file or folder, found {found}", where=where, fix="check bucket, folder and endpoint"
        ) from error
    except PermissionError as error:
        raise _refused(where, str(error)) from error
    except ImportError as error:
        raise _without_driver(where, error) from error
    except TimeoutError as error:
        raise _silent(where, "no answer in time") from error
    except OSError as error:
        if any(code in str(error) for code in _REFUSED):
            raise _refused(where, str(error)) from error
        raise _silent(where, error.strerror or _words(error)) from error
    except ValueError as error:
        if "Protocol not known" not in str(error):
            raise
        raise SettingsError(
            "expected a URL of a known kind, such as s3://BUCKET/FOLDER", where=where, fix="correct it"
        ) from error
    except Exception as error:
        explained = _of_driver(where, error)
        if explained is None:
            raise
        raise explained from error


def _of_driver(where: str, error: Exception) -> StageError | None:
    """What botocore and aiohttp raise, which are no OSErrors; None: of neither."""
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    if names & {"botocore.NoCredentialsError", "botocore.PartialCredentialsError", "botocore.CredentialRetrievalError"}:
        return StageError(
            f"the object store needs keys, and there are none ({_words(error)})",
            where=where,
            fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        )
    if "botocore.ProfileNotFound" in names:
        return StageError("the profile of AWS_PROFILE does not exist", where=where, fix="correct AWS_PROFILE")
    if names & {"botocore.BotoCoreError", "botocore.ClientError", "aiohttp.ClientError"}:
        return _silent(where, _words(error))
    return None


def _refused(where: str, said: str) -> StageError:
    return StageError(
        f"the object store refuses access ({said[:200].rstrip('.')})",
        where=where,
        fix="check the keys (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE), the endpoint, and that they "
        "may list the bucket and read its objects",
    )


def _silent(where: str, said: str) -> StageError:
    return StageError(
        f"the object store cannot be reached ({said})",
        where=where,
        fix="check the network, and for another store than AWS its address in AWS_ENDPOINT_URL",
    )


def _without_driver(where: str, error: ImportError) -> SettingsError:
    scheme = where.partition("://")[0]
    if scheme in _S3:
        return SettingsError("S3 needs s3fs, which is not installed", where=where, fix="pip install 'copperline[s3]'")
    return SettingsError(
        f"no driver for {scheme} is installed ({_words(error)})", where=where, fix="install that package"
    )


def _words(error: BaseException) -> str:
    """The driver's own words, without the request's address, which may carry a signature in its query."""
    words = " ".join("the endpoint" if is_url(word.strip("\"'")) else word for word in str(error).split())
    return words[:200].rstrip(".") or type(error).__name__
