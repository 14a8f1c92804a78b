"""The commands that README and docs show do run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"models", "sql", "inspect", "warehouse"}
ELSEWHERE = re.compile(r"\w://|@\w|models push")


def shown_commands(document: str) -> list[list[str]]:
    """The commands in the document's shell blocks that take no training, without the program's name.

    Those that need another server, an object store or a Snowflake account have their tests with the commands.
    """
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    words = [shlex.split(block, comments=True) for block in blocks]
    commands: list[list[str]] = []
    for word in (word for block in words for word in block):
        if word.rpartition("/")[2] in ("copperline", "make"):
            commands.append([word.rpartition("/")[2]])
        elif commands:
            commands[-1].append(word)
    return [c[1:] for c in commands if c[0] == "copperline" and c[1] in QUICK and not ELSEWHERE.search(" ".join(c))]


@pytest.mark.parametrize("document", ["README.md", "docs/warehouse.md"])
def test_shown_commands_run(
    demo: Any, copperline: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    test = next(iter(sorted(demo.data.rglob("*_test.jpg"))))
    golden = test.with_name(test.name.replace("_test", "_temp"))
    for name, image in {
        "board_test.jpg": test,
        "board_temp.jpg": golden,
        "panel.png": test,
        "golden.png": golden,
    }.items():
        (tmp_path / name).write_bytes(image.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPPERLINE_WORKSPACE", str(demo.workspace))
    commands = shown_commands(document)
    assert len(commands) >= 3
    for command in commands:
        ran = copperline(*command)
        assert ran.status == 0, (command, ran.err)


def test_python_in_readme_runs(demo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    test = next(iter(sorted(demo.data.rglob("*_test.jpg"))))
    (tmp_path / "board_test.jpg").write_bytes(test.read_bytes())
    (tmp_path / "board_temp.jpg").write_bytes(test.with_name(test.name.replace("_test", "_temp")).read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPPERLINE_WORKSPACE", str(demo.workspace))
    names: dict[str, Any] = {}
    exec(source, names)  # what a reader would paste
    assert names["detections"].boxes.shape[1] == 4
