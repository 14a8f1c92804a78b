"""What Kubernetes takes for a name, an image, a quantity: checked before it goes into a manifest."""

from __future__ import annotations

import re

from copperline.errors import SettingsError

_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_MEMORY = re.compile(r"[1-9][0-9]{0,6}(Mi|Gi|Ti|M|G|T)")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
# HOST[:PORT]/NAME/...:TAG or @sha256:DIGEST; the OCI distribution specification's grammar, without the rare cases.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::[0-9]{{1,5}})?/)?{_PART}(?:/{_PART})*"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def require_label(name: str, value: str, longest: int = 63) -> None:
    """A DNS label (RFC 1035): raises SettingsError for anything else.

    >>> require_label("name", "copperline-night")
    """
    if len(value) > longest or _LABEL.fullmatch(value) is None:
        raise SettingsError(
            f"expected as {name} at most {longest} of a-z, 0-9 and -, a letter first and no - last, found {value!r}",
            fix="choose another name",
        )


def require_memory(name: str, value: str) -> None:
    """A whole number with its unit: raises SettingsError for anything else.

    >>> require_memory("memory", "8Gi")
    """
    if _MEMORY.fullmatch(value) is None:
        raise SettingsError(
            f"expected as {name} a number with its unit, such as 8Gi or 512Mi, found {value!r}", fix="add it"
        )


def require_number(name: str, value: int, least: int, most: int) -> None:
    """Raises SettingsError if `value` is not in [least, most]."""
    if not least <= value <= most:
        raise SettingsError(f"expected as {name} a number from {least} to {most}, found {value}", fix="correct it")


def require_image(value: str) -> None:
    """An image that is the same on each node: raises SettingsError for one without tag or digest, and for `latest`.

    >>> require_image("registry.example/copperline:0.1.0")
    """
    match = _IMAGE.fullmatch(value)
    if match is None or len(value) > 512:
        raise SettingsError(
            f"expected the name of a container image, found {value!r}",
            fix="write it as registry.example/copperline:0.1.0",
        )
    if match["digest"] is None and match["tag"] in (None, "latest"):
        raise SettingsError(
            f"expected an image with a tag or digest, found {value!r}, which can be another on each node",
            fix="give its version, as in registry.example/copperline:0.1.0",
        )


def require_version(value: str) -> None:
    """A version of Ray such as 2.60.0: raises SettingsError for anything else."""
    if _VERSION.fullmatch(value) is None:
        raise SettingsError(f"expected a version of Ray such as 2.60.0, found {value!r}", fix="correct it")


def require_command(value: str) -> None:
    """One line of shell: raises SettingsError if it is empty or has control characters."""
    if not value.strip() or not value.isprintable() or len(value) > 10_000:
        raise SettingsError(
            f"expected a command in one line, found {value[:60]!r}",
            fix="write it as in --command 'copperline train --engine ray --address auto'",
        )
