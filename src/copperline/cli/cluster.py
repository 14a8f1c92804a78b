"""`copperline cluster`: check, manifest, capacity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copperline.cli.capacity import capacity
from copperline.cli.options import JsonOption, print_json, print_table, say
from copperline.cli.periods import parse_span
from copperline.errors import SettingsError

if TYPE_CHECKING:
    from copperline.cluster import Cluster, Node

app = typer.Typer(
    help="Past one machine: look at a Ray cluster, run one on Kubernetes, compute what is needed.",
    no_args_is_help=True,
)
app.command("capacity")(capacity)

_GIB = 1 << 30


@app.command()
def check(
    address: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of the head, or auto: the cluster of this machine; default: this machine alone."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Workers of one core each that must find a place.")] = 1,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs that must be there.")] = 0,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds after which a cluster is given up.")] = 60.0,
    json_: JsonOption = False,
) -> None:
    """Join a cluster and show its nodes, versions and what a training or inspection would get there."""
    from copperline.cluster import ray_session

    with ray_session(address, cpus=workers, gpus=gpus, timeout_s=timeout) as cluster:
        if json_:
            print_json(_described(cluster))
            return
    where = "A Ray of this machine alone" if cluster.is_local else f"The Ray cluster at {cluster.address}"
    print_table(
        f"{where}: Ray {cluster.ray_version}, Python {cluster.python_version}",
        ("node", "address", "CPUs", "GPUs", "memory", "object store", "Copperline"),
        [
            (
                node.host,
                node.address,
                f"{node.cpus:g}",
                f"{node.gpus:g}",
                f"{node.memory_bytes / _GIB:.1f} GiB",
                f"{node.object_store_bytes / _GIB:.1f} GiB",
                _copperline_of(node),
            )
            for node in cluster.nodes
        ],
    )
    at = "" if cluster.is_local else f" --address {cluster.address}"
    say(
        f"Room for {_counted(int(cluster.cpus), 'worker')} of one core"
        + (f", or {_counted(int(cluster.gpus), 'worker')} of one GPU." if cluster.gpus else "; there is no GPU."),
        f"Next: copperline train --engine ray --workers {max(1, int(cluster.cpus))}{at} --data ...",
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _copperline_of(node: Node) -> str:
    return "" if node.versions is None else node.versions.copperline or "none"


def _described(cluster: Cluster) -> dict[str, Any]:
    return {
        "address": cluster.address,
        "local": cluster.is_local,
        "ray": cluster.ray_version,
        "python": cluster.python_version,
        "cpus": cluster.cpus,
        "gpus": cluster.gpus,
        "memory_bytes": cluster.memory_bytes,
        "object_store_bytes": cluster.object_store_bytes,
        "workers_of_one_core": int(cluster.cpus),
        "workers_of_one_gpu": int(cluster.gpus),
        "nodes": [
            {
                "node_id": node.node_id,
                "host": node.host,
                "address": node.address,
                "cpus": node.cpus,
                "gpus": node.gpus,
                "memory_bytes": node.memory_bytes,
                "object_store_bytes": node.object_store_bytes,
                "copperline": _copperline_of(node),
            }
            for node in cluster.nodes
        ],
    }


@app.command()
def manifest(
    image: Annotated[
        str, typer.Option(help="Container image with Ray and Copperline, with its tag.", show_default=False)
    ],
    name: Annotated[str, typer.Option(help="Of the cluster or job; a DNS label.")] = "copperline",
    namespace: Annotated[str, typer.Option(help="It must exist.")] = "default",
    workers: Annotated[int, typer.Option(min=0, help="Worker pods at the start.")] = 2,
    cpus: Annotated[int, typer.Option(min=1, help="Cores of each worker pod.")] = 4,
    memory: Annotated[str, typer.Option(help="Of each worker pod, with its unit.")] = "8Gi",
    gpus: Annotated[int, typer.Option(min=0, help="NVIDIA GPUs of each worker pod.")] = 0,
    head_cpus: Annotated[int, typer.Option(min=1, help="Cores of the head, which runs the command.")] = 2,
    head_memory: Annotated[str, typer.Option(help="Of the head, with its unit.")] = "4Gi",
    least: Annotated[int | None, typer.Option("--min", min=0, help="Ray removes idle workers down to it.")] = None,
    most: Annotated[int | None, typer.Option("--max", min=1, help="Ray adds workers up to it; with --min.")] = None,
    secret: Annotated[
        str | None,
        typer.Option(help="Secret whose keys become variables, such as AWS_ACCESS_KEY_ID, COPPERLINE_WAREHOUSE_URL."),
    ] = None,
    workspace_claim: Annotated[
        str | None, typer.Option(help="PersistentVolumeClaim, ReadWriteMany, that is the workspace on all pods.")
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="Render a RayJob that runs it and ends, instead of a RayCluster.")
    ] = None,
    time_limit: Annotated[str, typer.Option(help="With --command: Kubernetes ends the job after it.")] = "24h",
    ray_version: Annotated[str | None, typer.Option(help="Of the image; default: the installed one.")] = None,
    output: Annotated[Path | None, typer.Option(help="File to write; default: stdout.")] = None,
) -> None:
    """Render what KubeRay needs to run a cluster, or one command, on Kubernetes, closed to other pods."""
    from copperline.cluster import ClusterSpec
    from copperline.cluster import manifest as render
    from copperline.files import atomic_file

    spec = ClusterSpec(
        name=name,
        image=image,
        ray_version=ray_version or _installed_ray(),
        namespace=namespace,
        workers=workers,
        cpus=cpus,
        memory=memory,
        gpus=gpus,
        head_cpus=head_cpus,
        head_memory=head_memory,
        min_workers=least,
        max_workers=most,
        secret=secret,
        claim=workspace_claim,
        command=command,
        time_limit_s=round(parse_span(time_limit, "--time-limit").total_seconds()),
    )
    text = render(spec)
    if output is None:
        typer.echo(text, nl=False)
        return
    with atomic_file(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    kind = "RayCluster" if command is None else "RayJob"
    say(f"Wrote a {kind} of {workers} workers and its NetworkPolicy to {output}.", f"Next: kubectl apply -f {output}")


def _installed_ray() -> str:
    from copperline.cluster.nodes import own_versions

    found = own_versions().ray
    if found is None:
        raise SettingsError(
            "expected Ray to be installed, to take its version, found that it is not",
            fix="give --ray-version of the image, or pip install 'copperline[ray]'",
        )
    return found
