"""Drift: do the detector's confidences and the camera's images still look as where the model was checked?"""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.charts_control import drift_chart
from copperline.dashboard.failures import empty_state, plain
from copperline.dashboard.filters import model_label
from copperline.dashboard.traced import NOT_MEASURED, chart, footnote
from copperline.monitoring import CONFIDENCE, QUANTITIES, Quantity
from copperline.quality import Drift, class_drift, drift_from_baseline, why_not_measured
from copperline.registry import Baseline
from copperline.warehouse import (
    BoardFilter,
    ModelVersionKey,
    count_values,
    histograms_by,
    read_transaction,
    statement_text,
)
from copperline.workflows.model_cards import card_of_row

VERDICTS = {
    "none": ":material/check_circle: no drift",
    "moderate": ":material/help: moderate drift",
    "major": ":material/warning: major drift",
}


def drift_view(chosen: BoardFilter, models: tuple[ModelVersionKey, ...]) -> None:
    """Draws it, for one model version: confidences and what was measured of the images, against the model's card.

    Args:
        chosen: the boards.
        models: versions to choose from where the filter names none, the oldest first.
    """
    options: list[ModelVersionKey] = list(chosen.models or models)[::-1]
    model = st.selectbox("Model version", options, format_func=model_label, key="drift-model")
    of_model = replace(chosen, models=(model,))
    card = card_of_row(session.settings(), model.name, model.version)
    baseline = None if card is None else card.baseline
    if baseline is None:
        empty_state(
            "No baseline to compare with",
            next_step=f"{plain(model_label(model))} is "
            + ("not in this registry" if card is None else "of an older Copperline, whose cards have no baseline")
            + ". Every model that is registered from now on has one.",
            command="copperline train --data PATH",
        )
        return
    st.caption(f"Baseline: {plain(baseline.measured_on)}.")
    _confidence_drift(of_model, baseline)
    for quantity in QUANTITIES:
        if not quantity.by_class:
            _image_drift(of_model, baseline, quantity)


def _confidence_drift(chosen: BoardFilter, baseline: Baseline) -> None:
    with read_transaction(session.engine()) as connection:
        now = {name: c for (name,), c in histograms_by(connection, chosen, CONFIDENCE, ("detected_class",)).items()}
    before = baseline.counts_by_class(CONFIDENCE)
    found = class_drift(before, now)
    st.subheader("Confidence of detections", anchor=False)
    if before is None:
        st.caption(f"{NOT_MEASURED}: the baseline has no confidences.")
        return
    together = [sum(column) for column in zip(*before.values(), strict=True)]
    current = [sum(column) for column in zip(*now.values(), strict=True)] or [0] * len(together)
    left, right = st.columns([3, 2])
    with left:
        chart(drift_chart(CONFIDENCE, together, current), key="drift-confidence")
    with right:
        st.dataframe(
            [
                {"class": name, "verdict": _verdict_word(drift), "PSI": None if drift is None else drift.psi}
                for name, drift in found.by_class.items()
            ],
            key="drift-classes",
            hide_index=True,
            placeholder="-",
            column_config={"PSI": st.column_config.NumberColumn(format="%.3f")},
        )
    _drift_footnote(found.together, CONFIDENCE, chosen)


def _image_drift(chosen: BoardFilter, baseline: Baseline, quantity: Quantity) -> None:
    with read_transaction(session.engine()) as connection:
        now = histograms_by(connection, chosen, quantity).get(())
    st.subheader(quantity.name.replace("_", " ").capitalize(), anchor=False)
    before = baseline.counts(quantity)
    if before is None or now is None:
        st.caption(f"{NOT_MEASURED}: no value {'in the baseline' if before is None else 'in this view'}.")
        return
    chart(drift_chart(quantity, before, now), key=f"drift-{quantity.name}")
    _drift_footnote(drift_from_baseline(before, now), quantity, chosen)


def _drift_footnote(drift: Drift | None, quantity: Quantity, chosen: BoardFilter) -> None:
    why = why_not_measured(drift)
    if drift is None or why is not None or drift.verdict is None or drift.psi is None:
        text = f"{NOT_MEASURED}: {why}"
    else:
        distance = f", Jensen-Shannon distance {drift.jensen_shannon:.3f}" if drift.jensen_shannon is not None else ""
        text = (
            f"{VERDICTS[drift.verdict]}: PSI {drift.psi:.3f}{distance}; {drift.baseline_samples:,} values in the "
            f"baseline, {drift.current_samples:,} now."
        )
    query = count_values(chosen, quantity, ("detected_class",) if quantity.by_class else ())
    footnote(
        text,
        "Population stability index over 20 equal bins (neighbours taken together where values are few): "
        "sum (now - before) ln(now / before), of shares. Below 0.1 no drift, above 0.25 major: a convention, not a "
        "test. Boards of a validation set are nearly all defective, so shares of calls and classes are not compared.",
        [statement_text(session.engine(), query)],
        key=f"drift-{quantity.name}",
    )


def _verdict_word(drift: Drift | None) -> str:
    return why_not_measured(drift) or (drift.verdict if drift and drift.verdict else NOT_MEASURED)
