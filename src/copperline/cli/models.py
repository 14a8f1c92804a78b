"""`copperline models`: list, show, compare, promote, history, export, push."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from copperline.cli.options import DataOption, JsonOption, WorkspaceOption, print_json, print_table, say, settings_for
from copperline.errors import DataError, SettingsError

if TYPE_CHECKING:
    from copperline.settings import Settings
    from copperline.workflows.comparing import KeptComparison

app = typer.Typer(help="The registry: versions, aliases, model cards.", no_args_is_help=True)

VersionArgument = Annotated[str, typer.Argument(help="A version number, an alias, or builtin:NAME.")]


@app.command("list")
def list_(workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """List the registered versions, the newest first, and the models that ship with Copperline."""
    from copperline.registry import BUILTIN, SnowflakeRegistry, builtin_model, builtin_models, open_registry

    registry = open_registry(settings_for(workspace))
    versions = registry.versions()
    others = registry.others() if isinstance(registry, SnowflakeRegistry) else ()
    shipped = [builtin_model(name) for name in builtin_models()]
    if json_:
        print_json(
            {
                "versions": [
                    {
                        "name": v.name,
                        "version": v.version,
                        "aliases": v.aliases,
                        "created_at": v.created_at.isoformat(),
                        "sha256": v.sha256,
                        "path": str(v.model_path),
                    }
                    for v in versions
                ],
                "builtin": [
                    {
                        "name": f"{BUILTIN}{m.name}",
                        "version": m.sha256[:12],
                        "created_at": m.card.created_at.isoformat(),
                        "sha256": m.sha256,
                        "path": str(m.path),
                    }
                    for m in shipped
                ],
                **({"others": others} if others else {}),
            }
        )
        return
    if versions:
        print_table(
            versions[0].name,
            ("version", "aliases", "created (UTC)", "file"),
            [(v.version, ", ".join(v.aliases), f"{v.created_at:%Y-%m-%d %H:%M}", v.model_path) for v in versions],
        )
    else:
        say("No model is registered yet.")
    if others:
        say(f"Not registered by Copperline, or not to the end, and never used: {', '.join(others)}.")
    if shipped:
        print_table(
            "Shipped with Copperline",
            ("model", "version", "trained on", "parameters"),
            [(f"{BUILTIN}{m.name}", m.sha256[:12], m.card.data_source, f"{m.card.parameters:,}") for m in shipped],
        )
    if versions or shipped:
        say(f"Next: copperline models show {versions[0].version if versions else BUILTIN + shipped[0].name}")
    else:
        say("Next: copperline train --data PATH")


@app.command()
def show(version: VersionArgument = "champion", workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """Show a model's card."""
    from copperline.registry import describe_model

    found = describe_model(settings_for(workspace), version)
    if json_:
        facts = {"version": _number(found.version), "aliases": found.aliases}
        print_json({**facts, **found.card.model_dump(mode="json"), "sha256": found.sha256})
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(found.card.to_markdown()))
    say(f"Next: copperline models promote {version}")


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A version number, an alias, or builtin:NAME; the champion, usually.")],
    second: Annotated[str, typer.Argument(help="Likewise; differences are second - first.")],
    data: DataOption,
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Which boards.")] = "test",
    report: Annotated[Path | None, typer.Option(help="Write the comparison as an HTML page, too.")] = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Run two models on the same labelled boards: paired differences with intervals, and what they come to."""
    from copperline.evaluation import verdict
    from copperline.evaluation.comparison_page import comparison_rows, write_comparison_page
    from copperline.progress import progress
    from copperline.workflows.comparing import compare_models, find_dataset, find_model, seen_before

    settings = settings_for(workspace)
    one, two = find_model(settings, first), find_model(settings, second)
    if one.sha256 == two.sha256:
        raise SettingsError(f"expected two models, found {first} and {second} to be the same file", fix="name another")
    dataset = find_dataset(settings, data, split)
    with progress("Inspecting with both models") as report_progress:
        kept = compare_models(settings, one, two, dataset, split, progress=report_progress)
    warnings = [
        f"{entry.title} {why}: its figures are better here than on new boards."
        for entry in (one, two)
        if (why := seen_before(entry.card, dataset, split)) is not None
    ]
    facts = [f"Measured on the boards of {dataset.name} ({split}), {kept.measured_at:%Y-%m-%d %H:%M} UTC.", *warnings]
    words = verdict(kept.result, one.title, two.title)
    if report is not None:
        write_comparison_page(report, kept.result, one.title, two.title, facts)
    if json_:
        print_json(
            {
                "verdict": words,
                "warnings": warnings,
                "report": None if report is None else str(report),
                **kept.model_dump(mode="json"),
            }
        )
        return
    print_table(
        f"{one.title} and {two.title} on {kept.result.boards} boards of {dataset.name} ({split})",
        ("figure", one.title, two.title, "difference, points", "95 % interval", "it says"),
        comparison_rows(kept.result),
    )
    for warning in warnings:
        say(f"warning: {warning}")
    say(words, *([f"Page: {report}"] if report else []), f"Next: copperline models promote {second} --reason TEXT")


@app.command()
def promote(
    version: VersionArgument,
    alias: Annotated[str, typer.Option(help="champion or challenger.")] = "champion",
    reason: Annotated[str, typer.Option(help="Why, for the history of promotions.")] = "",
    by: Annotated[str | None, typer.Option(help="Who is recorded; default: this machine's account.")] = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Point an alias to a version, and record it; the file is verified first. A shipped model is registered with its
    card."""
    from copperline.registry import promote_model

    settings = settings_for(workspace)
    compared = _last_comparison(settings, version, alias)
    promoted = promote_model(settings, version, alias, by=by, reason=reason)
    if json_:
        content: dict[str, Any] = {"name": promoted.name, "version": promoted.version, "aliases": promoted.aliases}
        if compared is not None:
            content["comparison"] = None if compared.kept is None else compared.kept.model_dump(mode="json")
        print_json(content)
        return
    say(
        *([] if compared is None else [compared.words]),
        f"{promoted.name} version {promoted.version} is now {alias}.",
        f"Next: copperline inspect IMAGE --reference REFERENCE --model {alias}",
    )


@app.command()
def history(workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """List who pointed which alias to which version, when and why, the oldest first; nothing is ever removed."""
    from copperline.registry import open_registry

    registry = open_registry(settings_for(workspace))
    found = registry.history()
    if json_:
        print_json(
            {
                "name": registry.name,
                "promotions": [p.model_dump(mode="json", exclude={"failed"}) for p in found.promotions],
                "failed": [p.model_dump(mode="json") for p in found.failed],
                "damaged_lines": found.damaged,
            }
        )
        return
    if found.promotions:
        print_table(
            f"Promotions of {registry.name}",
            ("when (UTC)", "who", "alias", "from", "to", "reason"),
            [
                (f"{p.at:%Y-%m-%d %H:%M}", p.by, p.alias, p.from_version or "-", p.to_version, p.reason or "-")
                for p in found.promotions
            ],
        )
    else:
        say("No promotion is recorded yet.")
    for failed in found.failed:
        say(f"Did not take effect: {failed.alias} to version {failed.to_version}, {failed.at:%Y-%m-%d %H:%M}.")
    if found.damaged:
        say(f"Lines that cannot be read: {', '.join(map(str, found.damaged))}.")
    say("Next: copperline models promote VERSION --reason TEXT")


@app.command()
def export(
    version: VersionArgument,
    file: Annotated[Path, typer.Argument(help="The .onnx file to write; its card goes beside it.")],
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Copy a model's ONNX file and card to another place; the file alone is enough to inspect."""
    from copperline.files import atomic_file
    from copperline.registry import describe_model

    found = describe_model(settings_for(workspace), version)
    with atomic_file(file) as temporary:
        shutil.copyfile(found.path, temporary)
    with atomic_file(file.with_suffix(".md")) as temporary:
        temporary.write_text(found.card.to_markdown(), encoding="utf-8")
    if json_:
        print_json({"name": found.name, "version": _number(found.version), "file": str(file), "sha256": found.sha256})
        return
    say(
        f"Wrote {file} and {file.with_suffix('.md')}.",
        f"Next: copperline inspect IMAGE --reference REFERENCE --model {file}",
    )


@app.command()
def push(
    version: VersionArgument,
    alias: Annotated[
        str,
        typer.Option(help="For a new version: challenger, or champion while there is none; another moves in any case."),
    ] = "challenger",
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Copy a model with its card to the registry of the Snowflake account, where SQL can call it; once, by its
    SHA-256."""
    from copperline.inspection.snowflake_push import push_model
    from copperline.snowflake.session import open_session

    settings = settings_for(workspace)
    pushed = push_model(open_session(settings.snowflake), settings, version, alias=alias)
    if json_:
        print_json({"name": pushed.name, "version": pushed.version, "aliases": pushed.aliases, "sha256": pushed.sha256})
        return
    known_as = f", {' and '.join(pushed.aliases)}" if pushed.aliases else ""
    say(
        f"{pushed.name} has it as version {pushed.version}{known_as}.",
        "Next: call it in SQL as docs/models.md shows, or set registry_uri to snowflake and use it in every command.",
    )


@dataclass(frozen=True)
class _Compared:
    """What is known of a model that is to replace the champion; `kept` None: the two were never compared."""

    words: str
    kept: KeptComparison | None


def _last_comparison(settings: Settings, version: str, alias: str) -> _Compared | None:
    """None: it replaces no other model."""
    from copperline.evaluation import verdict
    from copperline.registry import CHAMPION, catalogue
    from copperline.workflows.comparing import kept_comparisons

    found = catalogue(settings)
    champion, other = found.with_alias(CHAMPION), found.get(version) or found.with_alias(version)
    if alias != CHAMPION or champion is None or other is None or champion.sha256 == other.sha256:
        return None
    try:
        comparisons = kept_comparisons(settings, champion, other)
    except DataError as error:  # a file that is damaged is no reason not to promote
        return _Compared(f"note: {error}", None)
    if not comparisons:
        return _Compared(
            f"note: {other.title} was not compared with {champion.title}, the champion so far: "
            f"copperline models compare {champion.key} {other.key} --data DATASET",
            None,
        )
    last = comparisons[0]
    said = verdict(last.result, champion.title, other.title)
    return _Compared(f"Compared on {last.dataset} ({last.split}), {last.measured_at:%Y-%m-%d}: {said}", last)


def _number(version: str) -> int | str:
    """Registered versions are numbers in JSON; a shipped model's is the beginning of its SHA-256, a text.

    >>> _number("3"), _number("00e1123456ab")
    (3, '00e1123456ab')
    """
    return int(version) if version.isdecimal() and len(version) < 12 else version
