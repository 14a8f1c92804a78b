"""Judges the licences of all that Copperline depends on, and writes docs/licences.md.

Run it after a change of dependencies, with a network: `python scripts/licences.py`. It asks pip to resolve the base
install and every extra against PyPI, without installing. tests/project/test_licences.py uses the same judgement
offline, on the table that this script wrote and on what is installed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "licences.md"
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
        return f"{name}: states no licence; open it, and say in EXAMINED of scripts/licences.py what it is"
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


def direct_dependencies() -> dict[str, list[str]]:
    """`base` and each extra of pyproject.toml -> its requirements, as written."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"base": project["dependencies"], **project["optional-dependencies"]}


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
class Row:
    """One line of docs/licences.md."""

    name: str
    version: str
    licence: str
    needed_by: tuple[str, ...]


def read_table() -> dict[str, Row]:
    """Canonical name -> row of docs/licences.md."""
    rows: dict[str, Row] = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and cells[0] != "Distribution" and not set(cells[0]) <= {"-"}:
            rows[canonicalize_name(cells[0])] = Row(cells[0], cells[1], cells[2], tuple(cells[3].split(", ")))
    return rows


def resolve() -> dict[str, dict[str, object]]:
    """Canonical name -> core metadata of everything that pip would install from PyPI for all extras."""
    extras = ",".join(name for name in direct_dependencies() if name != "base")
    # Only PyPI: what a user gets, not this machine's own builds.
    own = ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL")
    environment = {k: v for k, v in os.environ.items() if k not in own} | {"PIP_CONFIG_FILE": os.devnull}
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        report = Path(folder) / "report.json"
        pip = [str(Path(folder) / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        # An older pip leaves License-Expression out of its report.
        subprocess.run([*pip, "--upgrade", "pip"], check=True, env=environment)
        subprocess.run(
            [*pip, "--dry-run", "--ignore-installed", "--report", str(report), f"{ROOT}[{extras}]"],
            check=True,
            env=environment,
        )
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    metadata: dict[str, dict[str, object]] = {
        canonicalize_name(item["metadata"]["name"]): item["metadata"] for item in installed
    }
    del metadata[canonicalize_name(PROJECT)]
    return metadata


def licence_of(metadata: Mapping[str, object]) -> Licence:
    """From metadata in the JSON form that pip reports."""
    classifiers = metadata.get("classifier") or []
    assert isinstance(classifiers, list)
    return Licence(
        expression=str(metadata.get("license_expression") or ""),
        text=str(metadata.get("license") or ""),
        classifiers=tuple(c for c in classifiers if c.startswith("License ::")),
    )


def _cell(name: str, licence: Licence) -> str:
    stated = licence.summary
    return (EXAMINED[name] if stated == NOT_STATED else stated).replace("|", "/")


def main() -> int:
    """Writes the table; exit status 1, and no table, if a licence is refused."""
    metadata = resolve()
    licences = {name: licence_of(m) for name, m in metadata.items()}
    objections = [o for name, licence in sorted(licences.items()) if (o := objection(name, licence))]
    if objections:
        sys.stderr.write("\n".join(objections) + "\n")
        return 1

    def requires(name: str) -> list[str] | None:
        found = metadata.get(name)
        needs = found and found.get("requires_dist", [])
        return [str(need) for need in needs] if isinstance(needs, list) else None

    needed = {extra: closure(wanted, requires) for extra, wanted in direct_dependencies().items()}
    rows = [
        f"| {m['name']} | {m['version']} | {_cell(name, licences[name])} "
        f"| {', '.join(extra for extra, names in needed.items() if name in names)} |"
        for name, m in sorted(metadata.items())
    ]
    TABLE.write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return 0


HEADER = """\
# Licences of the dependencies

Every distribution that Copperline brings in, with the licence that its metadata states: the base install and each
extra, resolved against PyPI on Linux for Python 3.11. None is under the AGPL or the GPL, and `make test` fails if one
comes in. The `nvidia-*` and `cuda-*` packages come only with PyPI's CUDA build of torch, never with the base install.

Written by `python scripts/licences.py`; run it again when a dependency changes.

| Distribution | Version | Licence | Needed by |
| --- | --- | --- | --- |
"""

if __name__ == "__main__":
    sys.exit(main())
