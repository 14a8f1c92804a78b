"""What Copperline is: its pages, architecture, data, model, versions and licences."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from copperline.dashboard import links, session, theme
from copperline.dashboard.app import PAGES
from copperline.dashboard.charts_structure import structure_figure
from copperline.dashboard.facts import (
    WorkspaceDataset,
    card_groups,
    card_table,
    shipped_cards,
    split_table,
    versions,
    workspace_datasets,
)
from copperline.dashboard.failures import empty_state, plain, show_failure
from copperline.dashboard.model_words import FIGURES, interval_of, shown_figures, value_of
from copperline.dashboard.parts import show_parts
from copperline.dashboard.structure import Package, imported_by, layers, packages, page_purpose
from copperline.dashboard.traced import NOT_MEASURED, chart
from copperline.errors import ModelError
from copperline.licences import Dependency, installed_dependencies
from copperline.registry import CHAMPION, DescribedModel, ModelCard, describe_model
from copperline.registry.card_figures import card_measurements
from copperline.workspace import Workspace

# A promotion is seen after this time at the latest.
SECONDS = 60


def page() -> None:
    st.markdown(
        "Copperline finds manufacturing defects on printed circuit boards and turns them into quality decisions: board "
        "images in, a trained and registered detector, inspected boards in a warehouse that SQL can ask. It runs whole "
        "on one machine, and nothing is sent anywhere."
    )
    show_parts(
        {
            "Pages": _pages,
            "Architecture": _architecture,
            "Data sets": _datasets,
            "Champion": _champion,
            "Versions": _versions,
            "Licences": _licences,
        }
    )


def _pages() -> None:
    for entry in PAGES:
        purpose = page_purpose(entry.module)
        if purpose is None or not entry.in_menu:
            continue
        with st.container(border=True):
            links.link(entry.module, entry.title)
            st.markdown(plain(purpose.removeprefix(f"{entry.title}: ")))
    st.markdown(
        "**What each figure means**: formula, unit, denominator and interval are in `docs/quality.md`. The info button "
        "of a figure shows its formula and the very query that it was counted by. "
        f"A figure whose denominator is zero or unknown is shown as *{NOT_MEASURED}*."
    )


def _architecture() -> None:
    found = _packages()
    st.markdown(
        "Each box is a package with the first sentence of its own documentation, each row a layer. A package imports "
        "only from its own row and from those below. Read from the installed source."
    )
    chosen = st.selectbox("Imports of", list(found), index=None, placeholder="Choose a package to see its imports")
    if chosen is not None:
        st.markdown(
            f"**{plain(chosen)}** imports {_listed(sorted(found[chosen].imports))} (tinted), and is imported by "
            f"{_listed(imported_by(chosen, found))} (dashed)."
        )
    figure = structure_figure(found, layers(found), chosen, theme.colour("textColor"))
    chart(figure, key="architecture")


def _datasets() -> None:
    st.subheader("In this workspace")
    folder = Workspace(session.settings()).datasets
    imported = workspace_datasets(folder)
    if not imported:
        empty_state(
            "No data set has been imported",
            next_step="Import labelled boards in DeepPCB's, YOLO's or COCO's layout; the demo imports some too.",
            command="copperline data import PATH",
        )
    for dataset in imported:
        _dataset(dataset)
    st.subheader("That the shipped models learned from")
    for name, card in shipped_cards().items():
        _card_data(name, card)


def _dataset(dataset: WorkspaceDataset) -> None:
    with st.container(border=True):
        st.markdown(f"**{plain(dataset.folder.name)}**")
        if dataset.failure is not None:
            show_failure(dataset.failure)
        if dataset.facts is None:
            return
        facts, report = dataset.facts, dataset.facts.report
        st.dataframe(split_table(facts), hide_index=True)
        st.caption(
            f"{report.accepted:,} boards, of which {report.boards_without_defects:,} without a defect and "
            f"{report.boards_without_reference:,} without a reference; {len(report.skipped):,} were left out. "
            f"Source: {plain(facts.source)}. SHA-256 of the content: {plain(facts.data_hash)}."
        )


def _card_data(name: str, card: ModelCard) -> None:
    with st.container(border=True):
        st.markdown(f"**{plain(name)}**: {plain(card.data_source)}")
        st.dataframe(card_table(card), hide_index=True)
        data_hash = card.data_hash or NOT_MEASURED
        st.caption(f"Classes: {plain(', '.join(card.classes))}. SHA-256 of the content: {plain(data_hash)}.")
        for row in card_groups(card):
            st.caption(plain(row))
        for use in card.data_use:
            st.caption(plain(use))


def _champion() -> None:
    try:
        model = _described_champion()
    except ModelError as error:
        show_failure(error)
        return
    card = model.card
    st.subheader(f"{plain(model.name)}, version {plain(model.version)}")
    if not model.aliases:
        st.caption("Nothing has been promoted yet, so a model that ships with Copperline inspects.")
    st.markdown(plain(card.intended_use))
    st.markdown("\n".join(f"- **{name}**: {plain(value)}" for name, value in _card_facts(card).items()))
    _measured(card)
    st.markdown("**Limitations**")
    st.markdown("\n".join(f"- {plain(limit)}" for limit in card.limitations) or "None are recorded.")
    links.link("models", "Figures, operating point and all other versions: Models")


def _measured(card: ModelCard) -> None:
    """The figures on the boards furthest from training."""
    measurements = card_measurements(card)
    if not measurements:
        st.markdown(f"**Figures**: {NOT_MEASURED}")
        return
    measurement = measurements[0]
    st.markdown(f"**Figures**, measured on {plain(measurement.measured_on)}, from the model's card")
    st.dataframe(
        [
            {"figure": FIGURES[name][0], "value": value_of(found), "interval": interval_of(found)}
            for name, found in shown_figures(measurement).items()
        ],
        hide_index=True,
        key="champion-figures",
    )


def _card_facts(card: ModelCard) -> dict[str, str]:
    boards = ", ".join(f"{split} {part.boards:,}" for split, part in card.splits.items() if part.boards)
    return {
        "Network": f"{card.network}, {card.parameters:,} parameters",
        "Trained at": f"{card.created_at:%Y-%m-%d %H:%M} UTC",
        "Trained on": f"{card.data_source} (boards: {boards})",
        "Classes": ", ".join(card.classes or card.operating_point.thresholds),
        "Operating point chosen for": card.operating_point.criterion,
        "Licence": card.licence,
    }


def _versions() -> None:
    st.dataframe([{"Part": name, "Version": version} for name, version in versions().items()], hide_index=True)


def _licences() -> None:
    found = _dependencies()
    if not found:
        empty_state(
            "The dependencies are not known here",
            next_step="Copperline runs from its sources, without having been installed. The licences of all "
            "dependencies are in `docs/licences.md`.",
            command="pip install 'copperline[dashboard]'",
        )
        return
    refused = [dependency.objection for dependency in found if dependency.objection is not None]
    if refused:
        st.error(
            f"Of {len(found)} installed dependencies, {len(refused)} cannot be accepted: {plain('; '.join(refused))}.",
            icon=":material/gavel:",
        )
    else:
        st.success(
            f"None of the {len(found)} installed dependencies is under the AGPL or the GPL. Copperline is under "
            "Apache-2.0.",
            icon=":material/verified:",
        )
    st.dataframe(_rows(found), hide_index=True, height=560)
    st.caption("As each installed distribution states it, without the development tools.")


def _rows(found: Sequence[Dependency]) -> list[dict[str, str]]:
    return [
        {"Distribution": d.name, "Version": d.version, "Licence": d.licence, "Needed by": ", ".join(d.needed_by)}
        for d in found
    ]


def _listed(names: Sequence[str]) -> str:
    return plain(", ".join(names)) or "nothing"


@st.cache_resource(show_spinner=False)
def _packages() -> dict[str, Package]:
    return packages()


@st.cache_resource(show_spinner=False)
def _dependencies() -> tuple[Dependency, ...]:
    return tuple(d for d in installed_dependencies() if d.needed_by != ("dev",))


@st.cache_resource(show_spinner=False, ttl=SECONDS)
def _described_champion() -> DescribedModel:
    return describe_model(session.settings(), CHAMPION)
