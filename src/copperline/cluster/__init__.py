"""Ray: a session on this machine or on a cluster, its failures in plain words, manifests, and how much is needed."""

from copperline.cluster.capacity import Need, Step, capacity
from copperline.cluster.failures import explained, ray_errors
from copperline.cluster.last_words import last_words
from copperline.cluster.manifest import ClusterSpec, manifest
from copperline.cluster.measured import Measured, read_measured, write_measured
from copperline.cluster.nodes import Cluster, Node, Versions
from copperline.cluster.plant import Plant, Prices
from copperline.cluster.session import ray_session

__all__ = [
    "Cluster",
    "ClusterSpec",
    "Measured",
    "Need",
    "Node",
    "Plant",
    "Prices",
    "Step",
    "Versions",
    "capacity",
    "explained",
    "last_words",
    "manifest",
    "ray_errors",
    "ray_session",
    "read_measured",
    "write_measured",
]
