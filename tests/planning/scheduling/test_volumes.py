"""A pod goes where its volumes are, or where they can be made."""

from stratos.apis import labels
from stratos.apis.meta import ObjectMeta
from stratos.apis.persistentvolume import PersistentVolumeClaim, PersistentVolumeClaimSpec
from stratos.apis.pod import PersistentVolumeClaimVolume, Pod, PodSpec, Volume
from stratos.apis.storageclass import StorageClass, TopologyRequirement, TopologySelectorTerm
from stratos.planning.scheduling import rejection
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import requirements_of
from stratos.planning.scheduling.volumes import NO_VOLUMES, VolumeNeeds, needs_of_pod

POD = Pod(
    metadata=ObjectMeta(name="db-0", namespace="data"),
    spec=PodSpec(
        volumes=(Volume(name="disk", persistent_volume_claim=PersistentVolumeClaimVolume(claim_name="disk-db-0")),)
    ),
)
UNBOUND = PersistentVolumeClaim(
    metadata=ObjectMeta(name="disk-db-0", namespace="data"),
    spec=PersistentVolumeClaimSpec(storage_class_name="zonal"),
)


def a_class(*zones: str, mode: str = "WaitForFirstConsumer") -> StorageClass:
    term = TopologySelectorTerm((TopologyRequirement(labels.ZONE, zones),))
    return StorageClass(volume_binding_mode=mode, allowed_topologies=(term,))


def needs(storage_class: StorageClass) -> VolumeNeeds:
    claims, classes = {"data/disk-db-0": UNBOUND}, {"zonal": storage_class}
    return needs_of_pod(POD, claim=claims.get, volume=lambda _: None, storage_class=classes.get)


def test_a_volume_that_waits_for_its_pod_keeps_it_where_it_can_be_made() -> None:
    """Otherwise a node is bought in a zone where the pod's disk can never be."""
    cluster = ClusterState()
    for zone in ("a", "b", "c"):
        cluster.set_node(NodeDescription(zone, {labels.ZONE: zone}, allocatable={"pods": 10}))
    check = cluster.check(requirements_of(POD, volumes=needs(a_class("a", "c"))))

    verdicts = {name: check.reject(node) for name, node in cluster.nodes.items()}

    assert verdicts == {"a": None, "b": rejection.VOLUME_AFFINITY, "c": None}


def test_a_volume_that_is_made_at_once_says_where_it_is_when_it_is_there() -> None:
    assert needs(a_class("a", mode="Immediate")) == NO_VOLUMES
