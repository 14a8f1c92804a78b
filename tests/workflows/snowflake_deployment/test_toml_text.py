from __future__ import annotations

import tomllib
from datetime import time

from hypothesis import given
from hypothesis import strategies as st

from copperline.workflows.snowflake_deployment.toml_text import toml_text

# No surrogates: they are no text that a file in UTF-8 can have.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PLAIN = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
NAME = st.from_regex(r"[a-z][a-z_]{0,12}", fullmatch=True)


@given(st.dictionaries(NAME, PLAIN | st.lists(TEXT, max_size=4).map(tuple), max_size=5), TEXT)
def test_what_was_written_is_read(values: dict[str, object], name: str) -> None:
    read = tomllib.loads(toml_text(values, {"snowflake": {"database": name}}))  # type: ignore[arg-type]
    assert read.pop("snowflake") == {"database": name}
    assert read == {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def test_times_and_lists_of_them() -> None:
    assert tomllib.loads(toml_text({"starts": (time(6), time(22))})) == {"starts": [time(6), time(22)]}


def test_without_values_there_is_the_table_alone() -> None:
    assert toml_text({}, {"snowflake": {"stage": "S"}}) == '[snowflake]\nstage = "S"\n'
    assert toml_text({}) == ""
