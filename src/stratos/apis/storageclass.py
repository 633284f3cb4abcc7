"""StorageClass: when volumes of a class are made, and where they may be."""

from __future__ import annotations

from stratos.apis.meta import Kind, KubeObject, Struct


class TopologyRequirement(Struct):
    key: str
    values: tuple[str, ...] = ()


class TopologySelectorTerm(Struct):
    match_label_expressions: tuple[TopologyRequirement, ...] = ()


class StorageClass(KubeObject):
    provisioner: str = ""
    volume_binding_mode: str = "Immediate"
    allowed_topologies: tuple[TopologySelectorTerm, ...] | None = None  # None: anywhere

    @property
    def waits_for_pod(self) -> bool:
        """Its volumes are made where the first pod that uses them goes."""
        return self.volume_binding_mode == "WaitForFirstConsumer"


STORAGE_CLASS = Kind(
    group="storage.k8s.io",
    version="v1",
    plural="storageclasses",
    kind="StorageClass",
    namespaced=False,
    type=StorageClass,
)
