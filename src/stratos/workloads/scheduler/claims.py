"""The volumes behind pods: what their claims are bound to, and what that demands of a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from stratos.apis.persistentvolume import (
    CSI_NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    CSINode,
    PersistentVolume,
    PersistentVolumeClaim,
)
from stratos.apis.pod import POD, Pod
from stratos.kube.cache import CacheEvent
from stratos.kube.controller import Manager
from stratos.planning.scheduling.volumes import NO_VOLUMES, VolumeNeeds, attach_limits, volume_needs

_BY_CLAIM = "claim"
_BY_VOLUME = "volume"


class Claims:
    """``pod_affected`` is called for each pod whose volumes have changed, ``node_affected`` with a node's name."""

    def __init__(
        self, manager: Manager, pod_affected: Callable[[Pod], None], node_affected: Callable[[str], None]
    ) -> None:
        self._pod_affected = pod_affected
        self._node_affected = node_affected
        self._pods = manager.cache(POD, indexes={_BY_CLAIM: _claim_keys})
        self._claims = manager.cache(PERSISTENT_VOLUME_CLAIM, indexes={_BY_VOLUME: _volume_names})
        self._volumes = manager.cache(PERSISTENT_VOLUME)
        self._csi_nodes = manager.cache(CSI_NODE)
        self._claims.subscribe(self._claim_changed)
        self._volumes.subscribe(self._volume_changed)
        self._csi_nodes.subscribe(self._csi_node_changed)

    def missing(self, pod: Pod) -> str | None:
        """The name of a claim that the pod uses and nobody has made."""
        for key in _claim_keys(pod):
            if self._claims.get(key) is None:
                return key.partition("/")[2]
        return None

    def needs(self, pod: Pod) -> VolumeNeeds:
        if not pod.spec.volumes:
            return NO_VOLUMES
        volumes = list(self._bound_volumes(pod))
        return volume_needs(volumes) if volumes else NO_VOLUMES

    def attach_limits(self, node_name: str) -> dict[str, int]:
        node = self._csi_nodes.get(node_name)
        return attach_limits(node) if node is not None else {}

    def _bound_volumes(self, pod: Pod) -> Iterator[PersistentVolume]:
        for key in _claim_keys(pod):
            claim = self._claims.get(key)
            volume = self._volumes.get(claim.spec.volume_name) if claim is not None else None
            if volume is not None:
                yield volume

    def _claim_changed(self, event: CacheEvent[PersistentVolumeClaim]) -> None:
        for pod in self._pods.by_index(_BY_CLAIM, event.key):
            self._pod_affected(pod)

    def _volume_changed(self, event: CacheEvent[PersistentVolume]) -> None:
        for claim in self._claims.by_index(_BY_VOLUME, event.key):
            for pod in self._pods.by_index(_BY_CLAIM, claim.metadata.key):
                self._pod_affected(pod)

    def _csi_node_changed(self, event: CacheEvent[CSINode]) -> None:
        self._node_affected(event.key)


def _claim_keys(pod: Pod) -> Iterable[str]:
    return [
        f"{pod.metadata.namespace}/{volume.persistent_volume_claim.claim_name}"
        for volume in pod.spec.volumes or ()
        if volume.persistent_volume_claim is not None
    ]


def _volume_names(claim: PersistentVolumeClaim) -> Iterable[str]:
    return (claim.spec.volume_name,) if claim.spec.volume_name else ()
