"""Pods with volumes get machines where the volumes are, and nodes with all their disks attached get no more."""

from dataclasses import replace

from stratos.apis import labels
from stratos.apis.meta import ObjectMeta
from stratos.apis.node import Node, NodeStatus
from stratos.apis.persistentvolume import (
    CSIVolumeSource,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeSpec,
)
from stratos.apis.pod import Pod
from stratos.planning.provisioning import plan_provisioning
from stratos.planning.provisioning.plan import ProvisioningPlan
from stratos.testing.provisioning_builders import ZONES, a_look, a_shop, a_template, a_type, a_waiting_pod

SHOP = a_shop((a_type("m.large", 2, 8), 0.1))
DRIVER = "disk.example.com"


def a_pod_with(volume: str) -> Pod:
    return a_waiting_pod(f"db-{volume}", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": volume}}])


def plan(*pods: Pod, zone: str = "", nodes: tuple[Node, ...] = (), limit: int | None = None) -> ProvisioningPlan:
    """Each claim is bound to the volume of its name; with ``zone``, all volumes are there."""
    names = [volume.persistent_volume_claim.claim_name for pod in pods for volume in pod.spec.volumes or ()
             if volume.persistent_volume_claim]  # fmt: skip
    look = a_look(a_template(isDefault=True), waiting=pods, shop=SHOP, nodes=nodes)
    cluster = replace(
        look.cluster,
        volume_claims={
            f"default/{name}": PersistentVolumeClaim(spec=PersistentVolumeClaimSpec(volume_name=name)) for name in names
        },
        volumes={
            name: PersistentVolume(
                metadata=ObjectMeta(name=name, labels={labels.ZONE: zone} if zone else {}),
                spec=PersistentVolumeSpec(csi=CSIVolumeSource(driver=DRIVER, volume_handle=name)),
            )
            for name in names
        },
        attach_limits={node.metadata.name: {DRIVER: limit} for node in nodes} if limit is not None else {},
    )
    return plan_provisioning(replace(look, cluster=cluster))


def test_a_machine_is_bought_where_the_pods_volume_is() -> None:
    """In any other zone the pod could never start, whatever the machine costs."""
    last = ZONES[-1]

    made = plan(a_pod_with("data"), zone=last)

    assert [machine.candidate.offering.zone for machine in made.machines] == [last]


def test_a_node_that_can_attach_no_further_disk_gets_no_further_pod() -> None:
    """The scheduler would refuse it, and the pod would wait for ever beside a node with room."""
    node = Node(
        metadata=ObjectMeta(name="there", labels={labels.HOSTNAME: "there"}),
        status=NodeStatus(allocatable={"cpu": "8", "memory": "32Gi", "pods": "100"}),
    )
    pods = a_pod_with("one"), a_pod_with("two")

    free = plan(*pods, nodes=(node,))
    limited = plan(*pods, nodes=(node,), limit=1)

    assert (len(free.assignments), len(free.machines)) == (2, 0)
    assert (len(limited.assignments), len(limited.machines)) == (1, 1)
