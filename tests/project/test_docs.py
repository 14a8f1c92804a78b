"""The documentation names what there is, and only that.

What the tests expect:
- README.md: one fenced block with a line `src/copperline/` and, indented under it, one line for each module and
  package, beginning with `name.py` or `name/`.
- docs/cli.md: one heading of any level for each command, beginning with `copperline NAME`, in backticks or not.
- docs/settings.md: every variable of `Settings` as `COPPERLINE_NAME`, those of its table `snowflake` as
  `COPPERLINE_SNOWFLAKE__NAME`.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from copperline.settings import Settings
from copperline.snowflake_settings import SnowflakeSettings

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "copperline"
# Read by the tests, not a setting.
TEST_VARIABLES = {"COPPERLINE_DEEPPCB"}


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _tracked_files() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"not a git checkout: {done.stderr.strip()}")
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def _module_map(text: str) -> set[str]:
    """The names under `src/copperline/` in the fenced block that has it."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        _, found, after = block.partition("src/copperline/\n")
        if found:
            indented = re.match(r"(?:[ \t│├└][^\n]*\n)*", after)
            assert indented is not None
            return set(re.findall(r"^[\s│├└─]+(\w+(?:/|\.py))(?=\s)", indented[0], re.MULTILINE))
    return set()


def test_module_map_matches_the_tree() -> None:
    packages = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    assert _module_map(_read("README.md")) == packages | modules


def test_module_map_is_read_from_the_block() -> None:
    package = "src/copperline/\n  data/    pairs.py on disk\n  cli.py  the door\n"
    assert _module_map(f"```\na.py\n```\n```text\n{package}tests/  mirrors\n```\n") == {"data/", "cli.py"}
    assert _module_map("```\nsrc/copperline/\n├── data/ pairs\n└── cli.py\n```\n") == {"data/", "cli.py"}


def _commands(command: Any, name: str = "copperline") -> Iterator[str]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name
    else:
        for child_name, child in children.items():
            if not child.hidden:
                yield from _commands(child, f"{name} {child_name}")


def test_every_command_is_documented() -> None:
    from typer.main import get_command

    from copperline.cli.app import app

    commands = set(_commands(get_command(app)))
    assert commands
    # A heading may go on with arguments: `## copperline inspect IMAGE|DIR`.
    headings = re.findall(r"^#+ +`?(copperline(?: [a-z][a-z-]*)+)", _read("docs/cli.md"), re.MULTILINE)
    groups = {name.rpartition(" ")[0] for name in commands} - {"copperline"}
    assert sorted(commands - set(headings)) == [], "not in docs/cli.md"
    assert sorted(set(headings) - commands - groups) == [], "in docs/cli.md, but no such command"
    assert len(headings) == len(set(headings)), "documented twice"


def test_every_setting_is_documented() -> None:
    named = set(re.findall(r"\bCOPPERLINE_[A-Z_]+\b", _read("docs/settings.md")))
    settings = {f"COPPERLINE_{field.upper()}" for field in Settings.model_fields}
    settings |= {f"COPPERLINE_SNOWFLAKE__{field.upper()}" for field in SnowflakeSettings.model_fields}
    assert sorted(settings - named) == [], "not in docs/settings.md"
    assert sorted(named - settings - TEST_VARIABLES) == [], "in docs/settings.md, but no such setting"


def _without_code(text: str) -> str:
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def _links(text: str) -> list[str]:
    """Targets of Markdown and HTML links and images, without those that leave the repository."""
    targets = re.findall(r"\]\(<?([^)>\s]+)|(?:src|href)=\"([^\"]+)\"|^\[[^\]]+\]:\s*(\S+)", _without_code(text), re.M)
    flat = [target for groups in targets for target in groups if target]
    return [target for target in flat if not re.match(r"[a-z][a-z+.-]*:", target)]


def _anchors(text: str) -> set[str]:
    """The ids that GitHub gives to the headings: lower case, punctuation dropped, spaces to hyphens."""
    anchors: set[str] = set()
    fenced = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ +(.+?)\s*#*$", fenced, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = sum(a == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", a) is not None for a in anchors)
        anchors.add(f"{slug}-{number}" if number else slug)
    return anchors


def _broken_links(document: Path) -> list[str]:
    broken = []
    for target in _links(document.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        file = document if not path else (document.parent / unquote(path)).resolve()
        missing = not file.exists() or (
            bool(anchor) and file.suffix == ".md" and anchor not in _anchors(file.read_text(encoding="utf-8"))
        )
        if missing:
            broken.append(target)
    return broken


def test_internal_links_resolve() -> None:
    documents = [path for path in _tracked_files() if path.suffix == ".md"]
    assert ROOT / "README.md" in documents
    assert {str(d.relative_to(ROOT)): b for d in documents if (b := _broken_links(d))} == {}


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "other page.md").write_text("# A `b` & C\n\n# Again\n\n# Again\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Top\n[a](other%20page.md#a-b--c) [b](#top) [c](https://example.com/x) `[code](no.md)`\n"
        "[d](other%20page.md#again-1) ![e](no.png) [f](#nowhere) [g](other%20page.md#again-2)\n"
        '<img src="no.svg">\n```\n[h](no.md)\n```\n[ref]: no-ref.md\n'
    )
    assert _broken_links(page) == ["no.png", "#nowhere", "other%20page.md#again-2", "no.svg", "no-ref.md"]


def test_no_machine_paths() -> None:
    """Paths of somebody's machine, also inside models and notebooks, where exporters like to leave them."""
    places = [
        rb"/home/\w",
        rb"/Users/\w",
        rb"/root/\w",
        rb"/tmp/\w",
        rb"[A-Z]:\\+Users\\",
        re.escape(bytes(ROOT)) + b"/",
    ]
    pattern = re.compile(rb"(?<![\w.~])(?:" + b"|".join(places) + b")")
    assert pattern.search(b'"' + bytes(ROOT / "src") + b'"')
    found = {
        str(path.relative_to(ROOT)): match[0]
        for path in _tracked_files()
        if path != Path(__file__).resolve() and (match := pattern.search(path.read_bytes()))
    }
    assert found == {}
