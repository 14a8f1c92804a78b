"""The licences of what Copperline depends on: what distributions state, and whether any is under the AGPL or the GPL.

For the dashboard's page About, for `scripts/licences.py` and for its test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "copperline"
NOT_STATED = "not stated"

# Distributions whose metadata states no licence: what opening them showed. What one states is judged all the same.
EXAMINED = {
    "cuda-toolkit": "none stated; the wheel of 13.0.3.0 holds its metadata and no other file",
}

# Exceptions that let a program of any licence be linked with the GPL work, or be built by it.
LINKING_EXCEPTIONS = {"classpath-exception-2.0", "gcc-exception-2.0", "gcc-exception-3.1"}

# A free text is judged by its beginning: the full texts of permissive licences go on to list what else is bundled.
TITLE_LENGTH = 500
_COPYLEFT = re.compile(
    r"\bA?GPL|\baffero\b|\bGNU\s+(?!lesser|library)(?:\w+\s+)?(?:general\s+)?public\s+licen[cs]e"
    r"|(?<!lesser )(?<!library )\bgeneral\s+public\s+licen[cs]e",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Licence:
    """What a distribution's metadata says of its licence: the core metadata fields of the same names."""

    expression: str = ""
    text: str = ""
    classifiers: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One line for the table."""
        names = [c.rpartition("::")[2].strip() for c in self.classifiers]
        text = self.text.strip()
        if text and (len(text) < 60 or not names):
            names.insert(0, " ".join(text.splitlines()[0].split())[:60])
        return self.expression or "; ".join(dict.fromkeys(names)) or NOT_STATED


def objection(name: str, licence: Licence) -> str | None:
    """Why `name` cannot be a dependency, or None.

    The AGPL and the GPL are refused unless there is a permissive alternative or an exception for linking; the LGPL is
    accepted. An SPDX expression decides alone (PEP 639). Otherwise both the free text and every classifier have to
    be acceptable, because several classifiers may mean "and" as well as "or". Nothing stated is refused too, unless
    EXAMINED says what the distribution is.
    """
    if licence.expression:
        return None if _expression_accepted(licence.expression) else f"{name}: {licence.expression}"
    if licence.summary == NOT_STATED:
        if canonicalize_name(name) in EXAMINED:
            return None
        return f"{name}: states no licence; open it, and say in EXAMINED of copperline/licences.py what it is"
    stated = [licence.text.strip()[:TITLE_LENGTH], *licence.classifiers]
    refused = [text for text in stated if not _text_accepted(text)]
    return f"{name}: {' '.join(refused[0].split())[:100]}" if refused else None


def _text_accepted(text: str) -> bool:
    """Free text: `BSD or GPL` is accepted, `GPL v2 or later` and `GPL and BSD` are not."""
    alternatives = [
        a for a in re.split(r"\bor\b", text, flags=re.IGNORECASE) if "later" not in a or _COPYLEFT.search(a)
    ]
    return any(not _COPYLEFT.search(a) for a in alternatives)


def _expression_accepted(expression: str) -> bool:
    """An SPDX expression: OR needs one accepted side, AND both; WITH binds tightest, then AND, then OR."""
    tokens = re.findall(r"[()]|[^\s()]+", expression)
    accepted = _either(tokens)
    if tokens:
        raise ValueError(f"expected an SPDX licence expression, found {expression!r}")
    return accepted


def _either(tokens: list[str]) -> bool:
    accepted = _both(tokens)
    while tokens and tokens[0].upper() == "OR":
        tokens.pop(0)
        accepted = _both(tokens) or accepted
    return accepted


def _both(tokens: list[str]) -> bool:
    accepted = _single(tokens)
    while tokens and tokens[0].upper() == "AND":
        tokens.pop(0)
        accepted = _single(tokens) and accepted
    return accepted


def _single(tokens: list[str]) -> bool:
    if not tokens or tokens[0].upper() in {")", "OR", "AND", "WITH"}:
        raise ValueError(f"expected a licence in the SPDX expression, found {tokens[0] if tokens else 'its end'}")
    token = tokens.pop(0)
    if token == "(":
        accepted = _either(tokens)
        if not tokens or tokens.pop(0) != ")":
            raise ValueError("expected ')' in the SPDX expression")
        return accepted
    exception = ""
    if tokens and tokens[0].upper() == "WITH":
        tokens.pop(0)
        exception = tokens.pop(0).lower() if tokens else ""
    return not token.upper().startswith(("GPL", "AGPL")) or exception in LINKING_EXCEPTIONS


def closure(requirements: Iterable[str], requires: Callable[[str], Iterable[str] | None]) -> set[str]:
    """Canonical names of all distributions that `requirements` bring in on this platform.

    Args:
        requirements: PEP 508 strings.
        requires: canonical name -> its own requirements, or None if that distribution is unknown; it is left out.
    """
    found: set[str] = set()
    done: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        needs = requires(name)
        if needs is None:
            continue
        found.add(name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in done:
                done.add((name, wanted))
                waiting += [(Requirement(text), wanted) for text in needs]
    return found


@dataclass(frozen=True)
class Dependency:
    """An installed distribution that Copperline brings in.

    Attributes:
        name: as the distribution writes it.
        version: installed.
        licence: as its metadata states it, in one line; for one that states none, what opening it showed.
        needed_by: `base`, and the extras that need it.
        objection: why it cannot be a dependency, or None.
    """

    name: str
    version: str
    licence: str
    needed_by: tuple[str, ...]
    objection: str | None


def installed_dependencies(project: str = PROJECT) -> tuple[Dependency, ...]:
    """All installed distributions that `project` brings in, directly or not, sorted by name.

    An extra of which nothing is installed adds nothing. Empty if `project` itself is not installed, for example when
    it is run from its sources.
    """
    own = installed_requirements(project)
    if own is None:
        return ()
    needed: dict[str, list[str]] = {}
    for extra in ("", *(metadata.metadata(project).get_all("Provides-Extra") or ())):
        wanted = f"{project}[{extra}]" if extra else project
        for name in closure([wanted], installed_requirements) - {canonicalize_name(project)}:
            needed.setdefault(name, []).append(extra or "base")
    # A base dependency is needed by every extra, which says nothing.
    return tuple(_dependency(name, ("base",) if "base" in by else tuple(by)) for name, by in sorted(needed.items()))


def installed_requirements(name: str) -> list[str] | None:
    """The requirements that an installed distribution states; None if it is not installed."""
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return None


def installed_licence(name: str) -> Licence:
    """What an installed distribution states; raises PackageNotFoundError if it is not installed."""
    found = metadata.metadata(name)
    return Licence(
        expression=_field(found, "License-Expression"),
        text=_field(found, "License"),
        classifiers=tuple(c for c in found.get_all("Classifier") or () if c.startswith("License ::")),
    )


def stated(name: str, licence: Licence) -> str:
    """The licence in one line, for a table."""
    silent = licence.summary == NOT_STATED
    return EXAMINED.get(canonicalize_name(name), NOT_STATED) if silent else licence.summary


def _field(found: metadata.PackageMetadata, name: str) -> str:
    values = found.get_all(name)
    return str(values[0]) if values else ""


def _dependency(name: str, needed_by: tuple[str, ...]) -> Dependency:
    licence = installed_licence(name)
    try:
        against = objection(name, licence)
    except ValueError as error:
        against = f"{name}: {error}"
    own_name = metadata.metadata(name)["Name"]
    return Dependency(own_name, metadata.version(name), stated(name, licence), needed_by, against)
