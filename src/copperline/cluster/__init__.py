"""Ray: a session on this machine or on a cluster, its failures in plain words, manifests, and how much is needed."""

from copperline.cluster.failures import explained, ray_errors
from copperline.cluster.last_words import last_words
from copperline.cluster.nodes import Cluster, Node, Versions
from copperline.cluster.session import ray_session

__all__ = [
    "Cluster",
    "Node",
    "Versions",
    "explained",
    "last_words",
    "ray_errors",
    "ray_session",
]
