"""What a pod asks of provisioning: what the scheduler will hold nodes to, and what it says of machines itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stratos.apis import labels
from stratos.apis.pod import NodeSelectorTerm, Pod
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import CapacityType
from stratos.planning.packing.problem import Candidate, PodToPlace
from stratos.planning.provisioning.annotations import NO_WISHES, Wishes, wishes_of
from stratos.planning.provisioning.machine_labels import asked_of_nodes
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import PodRequirements, requirements_of
from stratos.planning.scheduling.rules import reject_by_rules
from stratos.planning.scheduling.selection import compile_node_term
from stratos.planning.scheduling.volumes import NO_VOLUMES, VolumeNeeds

_DEVICES = ("/gpu", "/gaudi")  # how device plugins call what a catalog calls a GPU


@dataclass(frozen=True, slots=True)
class PodAsks:
    key: str  # namespace/name
    requirements: PodRequirements
    wishes: Wishes = NO_WISHES

    @property
    def to_place(self) -> PodToPlace:
        return PodToPlace(self.key, self.requirements)

    def amount(self, resource: str) -> int:
        return next((amount for name, amount in self.requirements.requests if name == resource), 0)

    @property
    def gpus(self) -> int:
        """Devices of any maker."""
        return sum(amount for name, amount in self.requirements.requests if name.endswith(_DEVICES))


def asks_of(pod: Pod, *, volumes: VolumeNeeds = NO_VOLUMES) -> PodAsks:
    """Raises `Invalid` naming the field or the annotation that has no meaning."""
    return PodAsks(pod.metadata.key, requirements_of(pod, volumes=volumes), wishes_of(pod))


Grants = Callable[[NodeDescription], bool]
"""Would a node that is there be what a pod wishes for?"""


def granting(wishes: Wishes, catalog: Catalog) -> Grants:
    """By what the node says of its machine, as the scheduler would; one that says nothing, by its type. A node of a
    type that nobody knows is not what anybody wishes for.
    """
    if wishes == NO_WISHES:
        return lambda node: True
    asked = compile_node_term(NodeSelectorTerm(asked_of_nodes(wishes, catalog)), "")

    def grants(node: NodeDescription) -> bool:
        if labels.CATALOG_TYPE in node.labels:
            return asked.matches(node.name, node.labels)
        return _grants_by_type(node, wishes, catalog)

    return grants


def _grants_by_type(node: NodeDescription, wishes: Wishes, catalog: Catalog) -> bool:
    type_ = catalog.instance_types.get(node.labels.get(labels.INSTANCE_TYPE, ""))
    if type_ is None or wishes.refuses(type_):
        return False
    try:
        terms = CapacityType(node.labels.get(labels.CAPACITY_TYPE, CapacityType.ON_DEMAND))
    except ValueError:
        return False
    offering = catalog.offering(type_.name, node.labels.get(labels.ZONE, ""), terms)
    return not wishes.refuses_offer(terms, offering.price_usd_per_hour if offering else 0.0)


def fits(pod: PodAsks, candidate: Candidate) -> bool:
    """Whether an empty node of it would do for the pod alone."""
    free = candidate.node.allocatable
    return (
        all(amount <= free.get(resource, 0) for resource, amount in pod.requirements.requests)
        and reject_by_rules(pod.requirements.node_rules, candidate.node) is None
    )
