"""One model: its figures with intervals, learning curves, classes, operating point, parity, limitations, card."""

from __future__ import annotations

import streamlit as st

from copperline.dashboard import charts_models, session
from copperline.dashboard.failures import plain, show_failure
from copperline.dashboard.model_words import (
    BOOTSTRAP,
    FALSE_CALL_RATE,
    FIGURES,
    NOT_RECORDED,
    class_rows,
    interval_of,
    moment,
    shown_figures,
    value_of,
)
from copperline.dashboard.traced import NOT_MEASURED, chart, explain, figure
from copperline.errors import ModelError
from copperline.registry import CardMeasurement, CatalogueEntry, ModelCard, card_measurements, read_run

_IN_A_ROW = 3
_VALIDATION = {"val_map50": "mAP50", "val_map50_95": "mAP50:95", "val_ap33": "AP33"}


def card_view(entry: CatalogueEntry) -> None:
    """Everything that is known of a model."""
    if entry.card is None:
        assert entry.fault is not None
        show_failure(entry.fault)
        return
    card = entry.card
    _facts(entry, card)
    measurements = card_measurements(card)
    measurement = _chosen_measurement(measurements)
    _figures(measurement)
    st.subheader("Classes and operating point")
    _classes(entry, card, measurement)
    st.subheader("Learning curves")
    _learning_curves(entry)
    st.subheader("What to know before trusting it")
    _trust(card)
    _whole_card(entry, card)


def _facts(entry: CatalogueEntry, card: ModelCard) -> None:
    trained = card.splits.get("train")
    boards = "" if trained is None else f", {trained.boards:,} boards"
    st.markdown(
        f"**{plain(card.network)}**, {card.parameters:,} parameters, trained on **{plain(card.data_source)}**{boards}. "
        f"Created {moment(entry.created_at, session.time_zone())}."
    )
    st.caption(f"SHA-256 of the file: `{entry.sha256}`")


def _chosen_measurement(measurements: tuple[CardMeasurement, ...]) -> CardMeasurement | None:
    if not measurements:
        return None
    by_name = {measurement.measured_on: measurement for measurement in measurements}
    if len(by_name) == 1:
        st.caption(f"Measured on: {plain(measurements[0].measured_on)}")
        return measurements[0]
    return by_name[st.selectbox("Measured on", list(by_name), key="measured-on")]


def _figures(measurement: CardMeasurement | None) -> None:
    if measurement is None:
        st.markdown(f"Its figures: {NOT_MEASURED}. `copperline evaluate --data PATH` measures them.")
        return
    shown = list(shown_figures(measurement).items())
    for start in range(0, len(shown), _IN_A_ROW):
        for column, (name, found) in zip(st.columns(_IN_A_ROW), shown[start : start + _IN_A_ROW], strict=True):
            label, formula = FIGURES[name]
            recorded = found.interval is not None and name != FALSE_CALL_RATE
            source = f"From the model's card, measured on: {plain(measurement.measured_on)}."
            with column:
                figure(
                    label,
                    None if found.value is None else value_of(found),
                    f"{formula}{f' {BOOTSTRAP}' if recorded else ''}\n\n{source}",
                    note=interval_of(found) or "not on this card",
                    key=f"card-{name}",
                )
    if any(interval_of(found) == NOT_RECORDED for _, found in shown):
        st.caption("Intervals are on the cards of models that were trained or shipped since they are recorded.")


def _classes(entry: CatalogueEntry, card: ModelCard, measurement: CardMeasurement | None) -> None:
    taxonomy, point = session.settings().taxonomy, card.operating_point
    left, right = st.columns(2)
    with left:
        if measurement is not None and measurement.per_class:
            chart(charts_models.class_bars(measurement.per_class, taxonomy), key="class-bars")
        else:
            st.markdown(f"Average precision by class: {NOT_MEASURED} on these boards, or not on this card.")
    with right:
        st.badge(
            "criterion reached" if point.reached else "criterion not reached",
            color="green" if point.reached else "orange",
            icon=":material/check:" if point.reached else ":material/warning:",
        )
        st.markdown(f"Chosen for: {plain(point.criterion)}.")
    st.dataframe(class_rows(entry, measurement, taxonomy), hide_index=True, alt="Thresholds and figures by class")
    explain(
        "A detection counts from the lowest confidence of its class on. AP50 and AP50:95 do not hang on it; precision "
        "and recall of a class are at the operating point, IoU 0.33.\n\nFrom the model's card.\n\nUnit: defects.",
        key="classes",
    )


def _learning_curves(entry: CatalogueEntry) -> None:
    if entry.run_id is None:
        st.markdown("No training run is recorded for this model: it ships with Copperline, or was trained elsewhere.")
        return
    try:
        run = read_run(session.settings(), entry.run_id)
    except ModelError as error:
        show_failure(error)
        return
    if run is None or not run.curves:
        st.markdown(f"The run `{plain(entry.run_id)}` is no longer in the store, or has logged nothing.")
        return
    if run.status != "FINISHED":
        st.warning(f"The run ended as {plain(run.status)}.", icon=":material/warning:")
    losses = {name: points for name, points in run.curves.items() if "loss" in name}
    validation = {label: run.curves[name] for name, label in _VALIDATION.items() if name in run.curves}
    left, right = st.columns(2)
    with left:
        if losses:
            chart(charts_models.curves(losses, title="Training loss", y_title="Loss"), key="loss")
        else:
            st.markdown(f"Training loss: {NOT_MEASURED}.")
    with right:
        if validation:
            drawn = charts_models.curves(validation, title="Validation", y_title="Average precision", per_cent=True)
            chart(drawn, key="validation")
        else:
            st.markdown(f"Validation by epoch: {NOT_MEASURED}. A run without validation boards has none.")
    st.caption(
        f"MLflow run `{plain(run.run_id)}`, {moment(run.started, session.time_zone())} to "
        f"{moment(run.ended, session.time_zone())}"
    )


def _trust(card: ModelCard) -> None:
    parity = card.parity
    if parity is None:
        st.markdown(f"Exported file against the trained network: {NOT_MEASURED}.")
    else:
        st.badge(
            "exported file agrees with the trained network"
            if parity.passed
            else "exported file does not agree with the trained network",
            color="green" if parity.passed else "red",
        )
        st.caption(
            f"Largest difference {parity.max_difference:.2g} on {parity.images} inputs, allowed {parity.tolerance:.2g}"
            + (f"; {plain(parity.note)}" if parity.note else "")
        )
    st.markdown("\n".join(f"- {plain(each)}" for each in card.limitations) or "No limitations are recorded.")


def _whole_card(entry: CatalogueEntry, card: ModelCard) -> None:
    text = card.to_markdown()
    with st.expander("The whole card as text", icon=":material/description:"):
        # As it is and not drawn: what a card says is not to be taken for markup.
        st.code(text, language="markdown", wrap_lines=True)
    name = f"{entry.name}-{entry.version}"
    with st.container(horizontal=True):
        st.download_button("Card (Markdown)", text, f"{name}.card.md", "text/markdown", icon=":material/download:")
        st.download_button(
            "Card (JSON)",
            card.model_dump_json(indent=2) + "\n",
            f"{name}.card.json",
            "application/json",
            icon=":material/download:",
        )
