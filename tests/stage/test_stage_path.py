from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copperline.errors import CopperlineError, DataError, SettingsError
from copperline.snowflake_settings import SnowflakeSettings
from copperline.stage import StagePath, is_url, location_of, name_of

NAMES = SnowflakeSettings(database="LAB", schema_name="line one", stage="S")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("@MODEL_STAGE", '@LAB."line one".MODEL_STAGE'),
        ("@model_stage/lot 7/Prüfling.png", '@LAB."line one".MODEL_STAGE/lot 7/Prüfling.png'),
        ("@public.s/", "@LAB.PUBLIC.S"),
        ('@a."b.c"."d ""e"""/x', '@A."b.c"."d ""e"""/x'),
        ('@"PCB_CV".PUBLIC."lower"', '@PCB_CV.PUBLIC."lower"'),
    ],
)
def test_places_are_read_as_snowflake_reads_them_and_shown_alike(text: str, place: str) -> None:
    found = StagePath.parse(text, NAMES)
    assert str(found) == place
    assert StagePath.parse(place) == found


def test_every_name_is_quoted_in_sql() -> None:
    assert StagePath.parse('@s."x""y".z/f.png').in_sql == '@"S"."x""y"."Z"/f.png'


@pytest.mark.parametrize(
    "text", ["@", "@~/f", "@%table", "@a.b.c.d", "@1st", '@"open', "@a b", "@a;drop", '@"a/b"/f', '@""']
)
def test_what_names_no_stage_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected"):
        StagePath.parse(text, NAMES)


@pytest.mark.parametrize(
    "path",
    [
        "../secrets",
        "a/../b",
        "a//b",
        "./a",
        "it's.png",
        'a"b',
        "a\\b",
        "a*.png",
        "a?.png",
        "a\nb",
        "a\0",
        " a",
        "a/ b",
        "[a]",
    ],
)
def test_paths_that_lead_elsewhere_or_mean_something_in_sql_are_refused(path: str) -> None:
    with pytest.raises(DataError, match="expected a path that a stage can have"):
        StagePath.parse(f"@MODEL_STAGE/{path}", NAMES)
    with pytest.raises(DataError, match="expected a path that a stage can have"):
        StagePath.parse("@MODEL_STAGE/lot7", NAMES) / path


@given(st.text())
def test_whatever_is_accepted_stays_one_text_of_sql(text: str) -> None:
    try:
        place = StagePath.parse("@" + text, NAMES)
    except CopperlineError:
        return
    assert StagePath.parse(str(place)) == place
    assert "'" not in place.path
    assert ".." not in place.path.split("/")
    outside = place.in_sql.replace('""', "")
    assert outside.count('"') == 6  # three names, each in its quotes


def test_a_place_is_a_location_like_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_SNOWFLAKE", '{"database": "Lab 2"}')
    assert is_url("@MODEL_STAGE/lot7")
    assert not is_url("./@MODEL_STAGE/lot7")
    assert location_of("@model_stage/lot7/") == '@"Lab 2".PUBLIC.MODEL_STAGE/lot7'
    assert name_of('@"Lab 2".PUBLIC.MODEL_STAGE/lot7/B1_test.png') == "B1_test.png"
    place = StagePath.parse("@MODEL_STAGE/lot7/B1.png")
    assert (place.name, str(place.parent)) == ("B1.png", "@PCB_CV.PUBLIC.MODEL_STAGE/lot7")
