"""Copperline's own structure, read from its installed source: packages, what they are for, and who imports whom."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

ROOT = "copperline"
# The design's layers, the doors first: a package imports only from its own row and those below. What is not in one
# is drawn in a row of its own, so that nothing is left out.
LAYERS: Mapping[str, tuple[str, ...]] = {
    "Doors": ("cli", "dashboard", "service"),
    "Line": ("line",),
    "Workflows": ("workflows",),
    "Inspection": ("inspection",),
    "Exchange": ("delivery", "access"),
    "Facts": ("warehouse", "quality"),
    "Registry": ("registry", "models"),
    "Training": ("training",),
    "Evaluation": ("evaluation",),
    "Network": ("yolo", "runtime"),
    "Boards": ("data", "reference"),
    "Stores": ("model_info", "mlflow_store", "workspace", "stage", "cluster"),
    "Account": ("snowflake",),
    "Values": ("detections", "labeled_board", "settings", "progress", "monitoring", "client", "local_server"),
    "Words": ("taxonomy", "files", "licences", "sink_settings", "snowflake_settings", "errors"),
}
OTHER = "Other"


@dataclass(frozen=True, slots=True)
class Package:
    """A package, or a module that stands alone.

    Attributes:
        name: below `copperline`.
        purpose: the first sentence of its docstring.
        imports: the other packages of Copperline that any of its files imports, at its top or when it is used.
    """

    name: str
    purpose: str
    imports: frozenset[str]


def packages() -> dict[str, Package]:
    """All packages and modules of the installed Copperline by name, sorted."""
    parts = {_name(part): part for part in resources.files(ROOT).iterdir() if _is_part(part)}
    return {name: _package(name, parts[name], frozenset(parts)) for name in sorted(parts)}


def layers(found: Mapping[str, Package]) -> dict[str, tuple[str, ...]]:
    """Layer -> the packages in it that there are, the doors first."""
    known = {layer: tuple(name for name in names if name in found) for layer, names in LAYERS.items()}
    placed = {name for names in known.values() for name in names}
    rows = {**known, OTHER: tuple(name for name in found if name not in placed)}
    return {layer: names for layer, names in rows.items() if names}


def imported_by(name: str, found: Mapping[str, Package]) -> tuple[str, ...]:
    """The packages that import `name`, sorted."""
    return tuple(sorted(other.name for other in found.values() if name in other.imports))


def page_purpose(module: str) -> str | None:
    """The first sentence of a page's docstring; None if there is no such page."""
    file = resources.files(ROOT) / "dashboard" / "pages" / f"{module}.py"
    return first_sentence(ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))) if file.is_file() else None


def first_sentence(docstring: str | None) -> str:
    """Without its full stop and backticks, on one line.

    >>> first_sentence("Reads `a.b` files.\\n\\nSlowly.")
    'Reads a.b files'
    """
    paragraph = " ".join((docstring or "").split("\n\n")[0].replace("`", "").split())
    return re.split(r"\.(?: |$)", paragraph, maxsplit=1)[0]


def _is_part(part: Traversable) -> bool:
    if part.is_dir():
        return (part / "__init__.py").is_file()
    return part.name.endswith(".py") and not part.name.startswith("__")


def _name(part: Traversable) -> str:
    return part.name.removesuffix(".py")


def _package(name: str, part: Traversable, names: frozenset[str]) -> Package:
    head = part / "__init__.py" if part.is_dir() else part
    imports = {target for file in _files(part) for target in _imports(_parsed(file), names)} - {name}
    return Package(name, first_sentence(ast.get_docstring(_parsed(head))), frozenset(imports))


def _files(part: Traversable) -> list[Traversable]:
    if part.is_dir():
        return [file for inner in part.iterdir() for file in _files(inner)]
    return [part] if part.name.endswith(".py") else []


def _parsed(file: Traversable) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _imports(tree: ast.Module, names: frozenset[str]) -> set[str]:
    """Those of `names` that a file imports."""
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {module.split(".")[1] for module in modules if module.startswith(f"{ROOT}.")} & names
