"""The rules of scheduling, told slowly: every rule is worked out anew from the objects themselves.

Nothing is compiled, counted ahead or remembered, so that it can be checked by reading. The fast predicates in
`stratos.planning.scheduling` are held to it by property tests, and simulations judge finished placements with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stratos.apis.node import Node, Taint
from stratos.apis.pod import (
    Container,
    LabelSelectorSpec,
    NodeSelectorTerm,
    Pod,
    PodAffinityTerm,
    SelectorRequirement,
    TopologySpreadConstraint,
)
from stratos.base.quantity import resource_amount


@dataclass(frozen=True)
class World:
    """Nodes, and the pods that were bound to them (``spec.nodeName``)."""

    nodes: Sequence[Node]
    pods: Sequence[Pod]
    namespace_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def pods_on(self, node: Node) -> list[Pod]:
        return [pod for pod in self.pods if pod.spec.node_name == node.metadata.name]


def why_not(pod: Pod, node: Node, world: World) -> list[str]:
    """What keeps ``pod`` off ``node``, by the first rule that is broken; empty when it fits."""
    rules = (
        _pinned_elsewhere,
        _unschedulable,
        _taints,
        _node_affinity,
        _ports,
        _resources,
        _spread,
        _affinity,
        _anti_affinity,
        _anti_affinity_of_others,
    )
    for rule in rules:
        reasons = list(rule(pod, node, world))
        if reasons:
            return reasons
    return []


def _pinned_elsewhere(pod: Pod, node: Node, world: World) -> Iterator[str]:
    terms = _required_node_terms(pod)
    if not terms:
        return
    named: list[str] = []
    for term in terms:
        lists = [set(field.values or ()) for field in term.match_fields or () if field.operator == "In"]
        if not lists:
            return
        named += set.intersection(*lists)
    if node.metadata.name not in named:
        yield "node(s) didn't satisfy plugin(s) [NodeAffinity]"


def _unschedulable(pod: Pod, node: Node, world: World) -> Iterator[str]:
    taint = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
    if node.spec.unschedulable and not _tolerated(pod, taint):
        yield "node(s) were unschedulable"


def _taints(pod: Pod, node: Node, world: World) -> Iterator[str]:
    for taint in node.spec.taints or ():
        if taint.effect != "PreferNoSchedule" and not _tolerated(pod, taint):
            yield f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"
            return


def _tolerated(pod: Pod, taint: Taint) -> bool:
    for toleration in pod.spec.tolerations or ():
        effect = toleration.effect in ("", taint.effect)
        if toleration.operator == "Exists":
            if effect and toleration.key in ("", taint.key):
                return True
        elif effect and toleration.key == taint.key and toleration.value == taint.value:
            return True
    return False


def _required_node_terms(pod: Pod) -> Sequence[NodeSelectorTerm] | None:
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity else None
    return affinity.required.node_selector_terms if affinity and affinity.required else None


def _selected(pod: Pod, node: Node) -> bool:
    for key, value in (pod.spec.node_selector or {}).items():
        if node.metadata.labels.get(key) != value:
            return False
    terms = _required_node_terms(pod)
    if terms is None:
        return True
    for term in terms:
        expressions, fields = term.match_expressions or (), term.match_fields or ()
        name = {"metadata.name": node.metadata.name}
        if (
            (expressions or fields)
            and all(_holds(requirement, node.metadata.labels) for requirement in expressions)
            and all(_holds(requirement, name) for requirement in fields)
        ):
            return True
    return False


def _holds(requirement: SelectorRequirement, labels: Mapping[str, str]) -> bool:
    present = requirement.key in labels
    value = labels.get(requirement.key, "")
    values = requirement.values or ()
    if requirement.operator == "In":
        return present and value in values
    if requirement.operator == "NotIn":
        return not present or value not in values
    if requirement.operator == "Exists":
        return present
    if requirement.operator == "DoesNotExist":
        return not present
    try:
        difference = int(value) - int(values[0])
    except (ValueError, IndexError):
        return False
    return present and (difference > 0 if requirement.operator == "Gt" else difference < 0)


def _node_affinity(pod: Pod, node: Node, world: World) -> Iterator[str]:
    if not _selected(pod, node):
        yield "node(s) didn't match Pod's node affinity/selector"


def _ports(pod: Pod, node: Node, world: World) -> Iterator[str]:
    for other in world.pods_on(node):
        for protocol, ip, port in _host_ports(pod):
            for other_protocol, other_ip, other_port in _host_ports(other):
                same_address = ip == other_ip or "0.0.0.0" in (ip, other_ip)
                if protocol == other_protocol and port == other_port and same_address:
                    yield "node(s) didn't have free ports for the requested pod ports"
                    return


def _host_ports(pod: Pod) -> list[tuple[str, str, int]]:
    return [
        (port.protocol, port.host_ip or "0.0.0.0", port.host_port)
        for container in pod.spec.containers
        for port in container.ports or ()
        if port.host_port
    ]


def _resources(pod: Pod, node: Node, world: World) -> Iterator[str]:
    others = world.pods_on(node)
    if len(others) + 1 > resource_amount("pods", node.status.allocatable.get("pods", 0)):
        yield "Too many pods"
    for resource in sorted(_resource_names(pod)):
        wanted = _requested(pod, resource)
        allocatable = resource_amount(resource, node.status.allocatable.get(resource, 0))
        if wanted > 0 and wanted + sum(_requested(other, resource) for other in others) > allocatable:
            yield f"Insufficient {resource}"


def _resource_names(pod: Pod) -> set[str]:
    containers = (*pod.spec.containers, *(pod.spec.init_containers or ()))
    asking = [container.resources for container in containers]
    if pod.spec.resources is not None:
        asking.append(pod.spec.resources)
    limited = pod.spec.resources.limits or {} if pod.spec.resources is not None else {}
    return {name for resources in asking for name in resources.requests or {}} | {*limited, *(pod.spec.overhead or {})}


def _requested(pod: Pod, resource: str) -> int:
    def of(container: Container) -> int:
        return resource_amount(resource, (container.resources.requests or {}).get(resource, 0))

    overhead = resource_amount(resource, (pod.spec.overhead or {}).get(resource, 0))
    of_the_pod = pod.spec.resources.requests or {} if pod.spec.resources is not None else {}
    if resource in of_the_pod:
        return resource_amount(resource, of_the_pod[resource]) + overhead
    inits = pod.spec.init_containers or ()
    limited = pod.spec.resources.limits or {} if pod.spec.resources is not None else {}
    if resource in limited and not any(
        resource in (container.resources.requests or {}) for container in (*pod.spec.containers, *inits)
    ):
        return resource_amount(resource, limited[resource]) + overhead
    sidecars = [container for container in inits if container.restart_policy == "Always"]
    phases = [sum(of(container) for container in (*pod.spec.containers, *sidecars))]
    for position, container in enumerate(inits):
        started = [earlier for earlier in inits[:position] if earlier.restart_policy == "Always"]
        phases.append(of(container) + sum(of(sidecar) for sidecar in started))
    return max(phases) + overhead


def _label_selector_holds(selector: LabelSelectorSpec | None, labels: Mapping[str, str]) -> bool:
    if selector is None:
        return False
    return all(labels.get(key) == value for key, value in (selector.match_labels or {}).items()) and all(
        _holds(requirement, labels) for requirement in selector.match_expressions or ()
    )


def _spread(pod: Pod, node: Node, world: World) -> Iterator[str]:
    constraints = [
        constraint
        for constraint in pod.spec.topology_spread_constraints or ()
        if constraint.when_unsatisfiable == "DoNotSchedule"
    ]
    for constraint in constraints:
        key = constraint.topology_key
        if key not in node.metadata.labels:
            yield "node(s) didn't match pod topology spread constraints (missing required label)"
            return
        counts: dict[str, int] = {}
        for other in world.nodes:
            if _takes_part_in_spread(pod, other, constraint, constraints):
                domain = other.metadata.labels[key]
                matching = [each for each in world.pods_on(other) if _is_spread_with(each, pod, constraint)]
                counts[domain] = counts.get(domain, 0) + len(matching)
        fewest = min(counts.values()) if len(counts) >= (constraint.min_domains or 1) else 0
        here = counts.get(node.metadata.labels[key], 0)
        if here + _selected_by_spread(pod, pod, constraint) - fewest > constraint.max_skew:
            yield "node(s) didn't match pod topology spread constraints"
            return


def _takes_part_in_spread(
    pod: Pod, node: Node, constraint: TopologySpreadConstraint, constraints: Sequence[TopologySpreadConstraint]
) -> bool:
    if any(each.topology_key not in node.metadata.labels for each in constraints):
        return False
    if constraint.node_affinity_policy == "Honor" and not _selected(pod, node):
        return False
    repelling = [taint for taint in node.spec.taints or () if taint.effect != "PreferNoSchedule"]
    return constraint.node_taints_policy != "Honor" or all(_tolerated(pod, taint) for taint in repelling)


def _is_spread_with(other: Pod, pod: Pod, constraint: TopologySpreadConstraint) -> bool:
    if other.metadata.namespace != pod.metadata.namespace or other.metadata.deletion_timestamp is not None:
        return False
    return _selected_by_spread(other, pod, constraint)


def _selected_by_spread(other: Pod, pod: Pod, constraint: TopologySpreadConstraint) -> bool:
    selector = constraint.label_selector
    if selector is None or not (selector.match_labels or selector.match_expressions or constraint.match_label_keys):
        return False
    labels, own = other.metadata.labels, pod.metadata.labels
    keys = [key for key in constraint.match_label_keys or () if key in own]
    if not (selector.match_labels or selector.match_expressions or keys):
        return False
    return _label_selector_holds(selector, labels) and all(labels.get(key) == own[key] for key in keys)


def _term_speaks_of(term: PodAffinityTerm, holder: Pod, other: Pod, world: World) -> bool:
    namespace = other.metadata.namespace
    if not term.namespaces and term.namespace_selector is None:
        if namespace != holder.metadata.namespace:
            return False
    elif namespace not in (term.namespaces or ()) and not _label_selector_holds(
        term.namespace_selector, world.namespace_labels.get(namespace, {})
    ):
        return False
    own, labels = holder.metadata.labels, other.metadata.labels
    for key in term.match_label_keys or ():
        if key in own and labels.get(key) != own[key]:
            return False
    for key in term.mismatch_label_keys or ():
        if key in own and labels.get(key) == own[key]:
            return False
    return _label_selector_holds(term.label_selector, labels)


def _placed(world: World) -> Iterator[tuple[Pod, Node]]:
    for node in world.nodes:
        for pod in world.pods_on(node):
            yield pod, node


def _same_domain(one: Node, other: Node, key: str) -> bool:
    return key in one.metadata.labels and one.metadata.labels[key] == other.metadata.labels.get(key)


def _affinity(pod: Pod, node: Node, world: World) -> Iterator[str]:
    affinity = pod.spec.affinity.pod_affinity if pod.spec.affinity else None
    terms = affinity.required if affinity else ()
    if not terms:
        return
    reason = "node(s) didn't match pod affinity rules"
    if any(term.topology_key not in node.metadata.labels for term in terms):
        yield reason
        return
    company = [
        (other, place)
        for other, place in _placed(world)
        if all(_term_speaks_of(term, pod, other, world) for term in terms)
    ]
    if all(any(_same_domain(place, node, term.topology_key) for _, place in company) for term in terms):
        return
    anywhere = any(term.topology_key in place.metadata.labels for _, place in company for term in terms)
    if anywhere or not all(_term_speaks_of(term, pod, pod, world) for term in terms):
        yield reason


def _anti_affinity(pod: Pod, node: Node, world: World) -> Iterator[str]:
    affinity = pod.spec.affinity.pod_anti_affinity if pod.spec.affinity else None
    for term in affinity.required if affinity else ():
        for other, place in _placed(world):
            if _same_domain(place, node, term.topology_key) and _term_speaks_of(term, pod, other, world):
                yield "node(s) didn't match pod anti-affinity rules"
                return


def _anti_affinity_of_others(pod: Pod, node: Node, world: World) -> Iterator[str]:
    for other, place in _placed(world):
        affinity = other.spec.affinity.pod_anti_affinity if other.spec.affinity else None
        for term in affinity.required if affinity else ():
            if _same_domain(place, node, term.topology_key) and _term_speaks_of(term, other, pod, world):
                yield "node(s) didn't satisfy existing pods anti-affinity rules"
                return
