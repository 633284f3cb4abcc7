"""The volumes behind pods: what their claims are bound to, and what that demands of a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stratos.apis.persistentvolume import (
    CSI_NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    CSINode,
    PersistentVolume,
    PersistentVolumeClaim,
)
from stratos.apis.pod import POD, Pod
from stratos.apis.storageclass import STORAGE_CLASS, StorageClass
from stratos.kube.cache import CacheEvent
from stratos.kube.controller import Manager
from stratos.planning.scheduling.volumes import VolumeNeeds, attach_limits, claim_keys, needs_of_pod

_BY_CLAIM = "claim"
_BY_VOLUME = "volume"
_BY_CLASS = "class"


class Claims:
    """``pod_affected`` is called for each pod whose volumes have changed, ``node_affected`` with a node's name."""

    def __init__(
        self, manager: Manager, pod_affected: Callable[[Pod], None], node_affected: Callable[[str], None]
    ) -> None:
        self._pod_affected = pod_affected
        self._node_affected = node_affected
        self._pods = manager.cache(POD, indexes={_BY_CLAIM: claim_keys})
        self._claims = manager.cache(
            PERSISTENT_VOLUME_CLAIM, indexes={_BY_VOLUME: _volume_names, _BY_CLASS: _class_names}
        )
        self._volumes = manager.cache(PERSISTENT_VOLUME)
        self._classes = manager.cache(STORAGE_CLASS)
        self._csi_nodes = manager.cache(CSI_NODE)
        self._claims.subscribe(self._claim_changed)
        self._volumes.subscribe(self._volume_changed)
        self._classes.subscribe(self._class_changed)
        self._csi_nodes.subscribe(self._csi_node_changed)

    def missing(self, pod: Pod) -> str | None:
        """The name of a claim that the pod uses and nobody has made."""
        for key in claim_keys(pod):
            if self._claims.get(key) is None:
                return key.partition("/")[2]
        return None

    def needs(self, pod: Pod) -> VolumeNeeds:
        return needs_of_pod(pod, claim=self._claims.get, volume=self._volumes.get, storage_class=self._classes.get)

    def attach_limits(self, node_name: str) -> dict[str, int]:
        node = self._csi_nodes.get(node_name)
        return attach_limits(node) if node is not None else {}

    def _claim_changed(self, event: CacheEvent[PersistentVolumeClaim]) -> None:
        for pod in self._pods.by_index(_BY_CLAIM, event.key):
            self._pod_affected(pod)

    def _volume_changed(self, event: CacheEvent[PersistentVolume]) -> None:
        for claim in self._claims.by_index(_BY_VOLUME, event.key):
            for pod in self._pods.by_index(_BY_CLAIM, claim.metadata.key):
                self._pod_affected(pod)

    def _class_changed(self, event: CacheEvent[StorageClass]) -> None:
        for claim in self._claims.by_index(_BY_CLASS, event.key):
            for pod in self._pods.by_index(_BY_CLAIM, claim.metadata.key):
                self._pod_affected(pod)

    def _csi_node_changed(self, event: CacheEvent[CSINode]) -> None:
        self._node_affected(event.key)


def _volume_names(claim: PersistentVolumeClaim) -> Iterable[str]:
    return (claim.spec.volume_name,) if claim.spec.volume_name else ()


def _class_names(claim: PersistentVolumeClaim) -> Iterable[str]:
    return (claim.spec.storage_class_name,) if claim.spec.storage_class_name else ()
