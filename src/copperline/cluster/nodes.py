"""What a cluster is made of: its nodes, what each has, and whether all of them run the versions of this process."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from copperline.errors import ClusterError


@dataclass(frozen=True, slots=True)
class Versions:
    """Attributes:
    python: such as 3.11.7.
    ray: of the package.
    copperline: None: not installed.
    """

    python: str
    ray: str | None
    copperline: str | None


@dataclass(frozen=True, slots=True)
class Node:
    """One machine, or one pod, of the cluster.

    Attributes:
        node_id: Ray's, hexadecimal.
        host: the machine's name.
        address: its IP address in the cluster.
        cpus: logical CPUs that Ray may use there.
        gpus: GPUs that Ray may use there.
        memory_bytes: that Ray may give to tasks and actors.
        object_store_bytes: shared memory for objects.
        versions: None: not asked.
    """

    node_id: str
    host: str
    address: str
    cpus: float
    gpus: float
    memory_bytes: int
    object_store_bytes: int
    versions: Versions | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Ray as it was found when the session began.

    Attributes:
        address: HOST:PORT of its head.
        is_local: started by this session on this machine, and stopped with it.
        ray_version: of the head.
        python_version: of the head.
        nodes: that are alive.
    """

    address: str
    is_local: bool
    ray_version: str
    python_version: str
    nodes: tuple[Node, ...]

    @property
    def cpus(self) -> float:
        """Logical CPUs of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)

    @property
    def memory_bytes(self) -> int:
        """What Ray may give to tasks and actors on all nodes."""
        return sum(node.memory_bytes for node in self.nodes)

    @property
    def object_store_bytes(self) -> int:
        """Shared memory for objects on all nodes."""
        return sum(node.object_store_bytes for node in self.nodes)


def own_versions() -> Versions:
    """Of this process."""
    return Versions(platform.python_version(), _installed("ray"), _installed("copperline"))


def nodes_alive() -> list[Node]:
    """Of the cluster that this process is connected to, without their versions."""
    import ray

    entries: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [_node(entry) for entry in entries if entry["Alive"]]


def ask_versions(nodes: Sequence[Node], timeout_s: float) -> list[Node]:
    """The nodes with their versions: a task on each tells them, however busy the node is.

    Raises:
        ClusterError: a node does not answer in time.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Defined here, so that it travels by its code and not by its name: a node may be without Copperline.
    def tell() -> tuple[str, str | None, str | None]:
        import platform
        from importlib.metadata import PackageNotFoundError, version

        def installed(name: str) -> str | None:
            try:
                return version(name)
            except PackageNotFoundError:
                return None

        return platform.python_version(), installed("ray"), installed("copperline")

    task = ray.remote(num_cpus=0, max_retries=0)(tell)
    asked = {
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False)).remote(): node
        for node in nodes
    }
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=timeout_s)
    if silent:
        for reference in silent:
            ray.cancel(reference, force=True)
        names = ", ".join(sorted(asked[reference].host for reference in silent))
        raise ClusterError(
            f"expected each node to run a small task within {timeout_s:.0f} s, found {len(silent)} of {len(nodes)} "
            f"that did not: {names}",
            fix="look at these nodes with `ray status` and their logs, or take them out of the cluster",
        )
    found = {asked[reference].node_id: Versions(*ray.get(reference)) for reference in answered}
    return [replace(node, versions=found[node.node_id]) for node in nodes]


def require_same_versions(nodes: Sequence[Node], own: Versions) -> None:
    """Raises ClusterError naming the first node that was asked and has another Copperline, Ray or Python than `own`."""
    for node in nodes:
        if node.versions is None or node.versions == own:
            continue
        if node.versions.copperline is None:
            raise ClusterError(
                f"expected Copperline {own.copperline} on each node, found none on {node.host} ({node.address})",
                fix=f"install copperline[ray]=={own.copperline} there, in the Python that Ray runs in",
            )
        for name, here, there in (
            ("Copperline", own.copperline, node.versions.copperline),
            ("Ray", own.ray, node.versions.ray),
            ("Python", own.python, node.versions.python),
        ):
            if here != there:
                raise ClusterError(
                    f"expected {name} {here} on each node as on this machine, found {there} on {node.host} "
                    f"({node.address})",
                    fix="install the same versions on all nodes, best as one image",
                )


def require_resources(cluster: Cluster, cpus: float, gpus: float) -> None:
    """Raises ClusterError if all nodes together have fewer."""
    for name, wanted, there in (("CPUs", cpus, cluster.cpus), ("GPUs", gpus, cluster.gpus)):
        if wanted > there:
            some = f"{len(cluster.nodes)} node" + ("s" if len(cluster.nodes) != 1 else "")
            raise ClusterError(
                f"expected {wanted:g} {name}, found {there:g} on {some}",
                where=cluster.address,
                fix="ask for fewer workers, or add nodes (`ray start --address`, or more replicas)",
            )


def _node(entry: Mapping[str, Any]) -> Node:
    resources: Mapping[str, float] = entry["Resources"]
    return Node(
        node_id=entry["NodeID"],
        host=entry["NodeManagerHostname"],
        address=entry["NodeManagerAddress"],
        cpus=resources.get("CPU", 0.0),
        gpus=resources.get("GPU", 0.0),
        memory_bytes=int(resources.get("memory", 0)),
        object_store_bytes=int(resources.get("object_store_memory", 0)),
    )


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
