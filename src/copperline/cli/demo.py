"""`copperline demo`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, per_cent, print_json, print_table, say, settings_for

if TYPE_CHECKING:
    from copperline.settings import Settings


def demo(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Labelled boards, e.g. DeepPCB's PCBData; default: download, or draw if offline."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of training; fewer is faster and worse.")] = None,
    no_dashboard: Annotated[
        bool, typer.Option("--no-dashboard", help="Do not open the dashboard at the end; nor does --json.")
    ] = False,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Run the whole loop: import, train, evaluate, register, inspect, and open the dashboard over it."""
    from copperline.workflows.demo import run_demo

    settings = settings_for(workspace)
    result = run_demo(settings, data, epochs, tell=lambda line: typer.echo(line, err=True))
    if json_:
        print_json(result.to_dict())
        return
    figures = result.evaluation
    print_table(
        f"Model version {result.model_version} on {result.test_images} boards that it has not seen",
        ("figure", "value"),
        [
            ("mAP50", per_cent(figures.map50)),
            ("AP33 (DeepPCB's protocol)", per_cent(figures.ap33)),
            ("mAP50:95", per_cent(figures.map50_95)),
            ("defects found at the operating point (recall)", per_cent(figures.recall)),
            ("defects found, by whatever class they were called", per_cent(figures.recall_any_class)),
            ("detections that are defects (precision)", per_cent(figures.precision)),
            ("clean boards with a false call", f"{figures.false_call_boards} of {figures.clean_boards}"),
            ("training", f"{result.train_seconds / 60:.1f} minutes on {result.train_images} boards"),
        ],
    )
    print_table(
        "What the warehouse knows (factory lines and products are simulated)",
        ("line", "inspected boards", "called FAIL", "withheld", "defects"),
        [(line or "unknown", c.boards, c.failed, c.withheld, c.defects) for line, c in result.lines.items()],
    )
    say(
        f"Made {result.inspections} inspections with {result.defect_rows} defect rows in {result.database}.",
        f"Report with plots and pictures: {result.report}",
        'Next: copperline sql "SELECT detected_class, COUNT(*) FROM defect_logs GROUP BY detected_class"',
        "      copperline inspect IMAGE --reference REFERENCE",
    )
    if not no_dashboard:
        _open_dashboard(settings)


def _open_dashboard(settings: Settings) -> None:
    from copperline.dashboard.launch import FIRST_PORT, Server, serve
    from copperline.local_server import free_port

    if find_spec("streamlit") is None:
        say("      pip install 'copperline[dashboard]', then copperline dashboard")
        return
    server = Server(port=free_port(FIRST_PORT))
    say(f"The dashboard: {server.url} (Ctrl-C ends it; `copperline dashboard` opens it again)")
    status = serve(settings, server)
    if status:
        raise typer.Exit(status)
