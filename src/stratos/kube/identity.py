"""Which cluster this is. People give names, and may give two clusters the same one; a uid is nobody else's."""

from __future__ import annotations

from stratos.apis.namespace import NAMESPACE
from stratos.kube.controller import Manager

_OLDEST = "kube-system"  # its uid stands for that of its cluster, by custom


class ClusterIdentity:
    def __init__(self, manager: Manager) -> None:
        self._namespaces = manager.cache(NAMESPACE)

    @property
    def uid(self) -> str:
        """Empty where nobody knows."""
        namespace = self._namespaces.get(_OLDEST)
        return namespace.metadata.uid if namespace is not None else ""
