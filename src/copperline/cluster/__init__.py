"""Ray: a session on this machine or on a cluster, its failures in plain words, manifests, and how much is needed."""
