"""PersistentVolumes, the claims bound to them, and how many of them a node can attach."""

from __future__ import annotations

import msgspec

from stratos.apis.meta import Kind, KubeObject, Struct
from stratos.apis.pod import NodeSelector


class PersistentVolumeClaimSpec(Struct):
    volume_name: str = ""
    storage_class_name: str | None = None


class PersistentVolumeClaimStatus(Struct):
    phase: str = "Pending"


class PersistentVolumeClaim(KubeObject):
    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()


class VolumeNodeAffinity(Struct):
    required: NodeSelector | None = None


class CSIVolumeSource(Struct):
    driver: str
    volume_handle: str


class PersistentVolumeSpec(Struct):
    node_affinity: VolumeNodeAffinity | None = None
    csi: CSIVolumeSource | None = None


class PersistentVolume(KubeObject):
    spec: PersistentVolumeSpec = PersistentVolumeSpec()


class VolumeNodeResources(Struct):
    count: int | None = None


class CSINodeDriver(Struct):
    name: str
    node_id: str = msgspec.field(default="", name="nodeID")
    allocatable: VolumeNodeResources | None = None


class CSINodeSpec(Struct):
    drivers: tuple[CSINodeDriver, ...] = ()


class CSINode(KubeObject):
    """Which storage drivers a node runs, and how many volumes of each it can attach. Named as the node is."""

    spec: CSINodeSpec = CSINodeSpec()


PERSISTENT_VOLUME_CLAIM = Kind(
    group="",
    version="v1",
    plural="persistentvolumeclaims",
    kind="PersistentVolumeClaim",
    namespaced=True,
    type=PersistentVolumeClaim,
)
PERSISTENT_VOLUME = Kind(
    group="",
    version="v1",
    plural="persistentvolumes",
    kind="PersistentVolume",
    namespaced=False,
    type=PersistentVolume,
)
CSI_NODE = Kind(group="storage.k8s.io", version="v1", plural="csinodes", kind="CSINode", namespaced=False, type=CSINode)
