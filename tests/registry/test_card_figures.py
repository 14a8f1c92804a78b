from __future__ import annotations

from copperline.registry import CardFigure, ModelCard, builtin_model, card_measurements


def test_a_shipped_card_has_intervals() -> None:
    first, second, last = card_measurements(builtin_model("deeppcb").card)
    assert (first.measured_on, second.measured_on) == ("test, with reference", "test, single images")
    assert last.measured_on.startswith("validation, of run")
    assert first.figures["map50"].value == 0.9866773456687422
    assert first.figures["map50"].interval == (0.9823895072515484, 0.9969131828064949)
    assert first.figures["precision"].interval == (0.9824088783954149, 0.9935820033805696)
    assert last.figures["map50"].interval == (0.9721924907331172, 0.9919238176118929)
    assert last.figures["images"] == CardFigure(150.0)


def test_an_older_card_has_no_interval_of_precision() -> None:
    first, *_ = card_measurements(builtin_model("golden-only").card)
    assert first.figures["precision"].value is not None
    assert first.figures["precision"].interval is None


def test_rows_with_tables_of_intervals_and_classes_beside_them(card: ModelCard) -> None:
    metrics = {
        "by split": {"validation": {"images": 9, "map50": 0.9}, "test": {"images": 5, "map50": None}},
        "validation, 95 % intervals": {"map50": {"value": 0.9, "low": 0.8, "high": 0.95}},
        "validation, by class": {"open": {"labels": 4, "ap50": 0.7, "ap50_95": None}},
    }
    test, validation = card_measurements(card.model_copy(update={"metrics": metrics}))
    assert (test.measured_on, test.figures["map50"], test.per_class) == ("test", CardFigure(None), {})
    assert validation.figures == {"images": CardFigure(9.0), "map50": CardFigure(0.9, (0.8, 0.95))}
    assert validation.per_class == {"open": {"labels": 4.0, "ap50": 0.7, "ap50_95": None}}


def test_bare_figures(card: ModelCard) -> None:
    (only,) = card_measurements(card)
    assert only.figures == {"ap33": CardFigure(0.98912), "false_call_boards": CardFigure(None)}
    assert only.per_class["short"] == {"ap50": 0.968, "ap50_95": None}


def test_a_card_without_figures(card: ModelCard) -> None:
    assert card_measurements(card.model_copy(update={"metrics": {}})) == ()
    nothing = {"by split": {"real defects": {"map50": None}}}
    (only,) = card_measurements(card.model_copy(update={"metrics": nothing}))
    assert only.figures == {"map50": CardFigure(None)}
