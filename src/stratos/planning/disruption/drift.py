"""Whether a template would still make the machine it once made.

Editing a template touches new nodes only. What is found here matters to those that ask for it: ``replaceDrifted``, and
rebalancing. Prices are no drift: a machine that became too dear for a price cap is a matter of saving. Nor is what
labels say of the machine itself, which stays what it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from stratos.apis.nodeclaim import NodeClaim, NodeSettings
from stratos.apis.nodetemplate import NodeTemplate
from stratos.catalog.instance_type import CapacityType
from stratos.planning.disruption.machines import TemplateMachine
from stratos.planning.packing.problem import Candidate, OfferingName
from stratos.planning.provisioning.candidates import Candidates
from stratos.planning.provisioning.draft import settings_of
from stratos.planning.provisioning.machine_labels import MACHINE_LABELS
from stratos.planning.provisioning.strategies import BIN_SELECTION

_ABOUT_PRICES = ("constraints.maxPrice", "constraints.maxSpotPriceRatio", "constraints.maxSpotInterruptBucket")


def drift(machine: TemplateMachine, template: NodeTemplate, candidates: Candidates) -> str:
    """What has changed, in words. Empty when the claim is as the template would have it now."""
    claim, spec = machine.claim, machine.claim.spec
    if spec.node_class_ref != template.spec.node_class_ref:
        return "nodeClassRef: the template launches from another class"
    rule = candidates.rejected.get(spec.instance_type, "")
    if rule and rule not in _ABOUT_PRICES:
        return f"{rule}: the template does not allow {spec.instance_type} any more"
    broken = (
        _broken_terms(claim, template) if machine.packing != BIN_SELECTION else ""
    )  # there, pods may have asked for them
    if broken:
        return broken
    same = _candidate_of(claim, candidates)
    if same is None or spec.node is None:
        return ""
    now = settings_of(template, same, machine.packing)
    return next((f"{name} of the node changed" for name, old, new in _settings(spec.node, now) if old != new), "")


def _broken_terms(claim: NodeClaim, template: NodeTemplate) -> str:
    constraints, spec = template.spec.constraints, claim.spec
    if constraints.azs and spec.zone not in constraints.azs:
        return f"constraints.azs: the template does not allow {spec.zone} any more"
    if spec.capacity_type == CapacityType.SPOT and not constraints.spot:
        return "constraints.spot: the template does not allow spot any more"
    on_demand = constraints.allows_on_demand or constraints.use_spot_fallbacks
    if spec.capacity_type == CapacityType.ON_DEMAND and not on_demand:
        return "constraints.onDemand: the template does not allow on-demand any more"
    return ""


def _candidate_of(claim: NodeClaim, candidates: Candidates) -> Candidate | None:
    spec = claim.spec
    wanted = OfferingName(spec.instance_type, spec.zone, CapacityType(spec.capacity_type))
    return next((each for each in candidates.all if each.offering == wanted), None)


def _settings(old: NodeSettings, new: NodeSettings) -> tuple[tuple[str, object, object], ...]:
    """What of a node's settings cannot be changed, or is not, once it is there."""
    return (
        ("labels", _stated(old.labels), _stated(new.labels)),
        ("taints", old.taints, new.taints),
        ("startupTaints", old.startup_taints, new.startup_taints),
        ("maxPods", old.max_pods, new.max_pods),
    )


def _stated(node_labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in node_labels.items() if key not in MACHINE_LABELS}
