"""One kind of pod held against the nodes of one cluster: which rule, if any, keeps it off a node.

The rules are asked in kube-scheduler's order and the first that is broken answers, so that the counted messages agree.
What depends on the node alone is remembered by node; what depends on pods elsewhere is read from tallies.
"""

from __future__ import annotations

from collections.abc import Mapping

from stratos.planning.scheduling import rejection
from stratos.planning.scheduling.placement import NodeState
from stratos.planning.scheduling.rejection import Rejection
from stratos.planning.scheduling.requirements import NodeRules, PodRequirements, SpreadConstraint
from stratos.planning.scheduling.rules import pinned_nodes, reject_by_rules, reject_by_volumes
from stratos.planning.scheduling.topology import HeldTerms, TallyKey, TopologyIndex
from stratos.planning.scheduling.volumes import NO_VOLUMES


class RulesMemory:
    """The verdict of one set of node rules on every node it has met. Shared by all pods that state the same rules."""

    __slots__ = ("pinned", "rules", "verdicts")

    def __init__(self, rules: NodeRules) -> None:
        self.rules = rules
        self.pinned = pinned_nodes(rules)
        self.verdicts: dict[str, Rejection | None] = {}

    def ask(self, node: NodeState) -> Rejection | None:
        try:
            return self.verdicts[node.name]
        except KeyError:
            verdict = self.verdicts[node.name] = reject_by_rules(self.rules, node.description)
            return verdict


class FitCheck:
    """Would such a pod fit? It stays current while pods come and go; ask the `ClusterState` for it again each time."""

    def __init__(
        self,
        requirements: PodRequirements,
        rules: RulesMemory,
        topology: TopologyIndex,
        repelling: HeldTerms,
        namespace_labels: Mapping[str, str],
    ) -> None:
        self.requirements = requirements
        self.rules = rules
        self._has_volumes = requirements.node_rules.volumes != NO_VOLUMES
        self._repelling = repelling
        self._namespace_labels = namespace_labels
        self._repelled_version = -1
        self._repelled_from: tuple[tuple[str, Mapping[str, int]], ...] = ()
        self._spread = tuple(
            (constraint, topology.tally(spread_tally_key(requirements, constraint, requirements.spread)))
            for constraint in requirements.spread
        )
        together = tuple(term.pods for term in requirements.affinity)
        self._together = tuple(
            topology.tally(TallyKey(together, term.topology_key, counts_terminating=True))
            for term in requirements.affinity
        )
        self._apart = tuple(
            topology.tally(TallyKey((term.pods,), term.topology_key, counts_terminating=True))
            for term in requirements.anti_affinity
        )
        self._goes_with_itself = bool(together) and all(
            term.matches(requirements.namespace, namespace_labels, dict(requirements.labels)) for term in together
        )

    def reject(self, node: NodeState, *, spreads: bool = True) -> Rejection | None:
        """The first rule that keeps the pod off ``node``, or None when it fits. Not ``spreads``: spread aside."""
        verdict = self.rules.ask(node)
        if verdict is not None:
            return verdict
        requirements = self.requirements
        for port in requirements.host_ports:
            if not node.has_port_free(port):
                return rejection.PORTS
        free = node.free
        for resource, amount in requirements.requests:
            if amount > free.get(resource, 0):
                return self._reject_by_resources(node)
        if self._has_volumes:
            if not node.can_attach(requirements.node_rules.volumes.attachments):
                return rejection.VOLUME_LIMIT
            verdict = reject_by_volumes(requirements.node_rules, node.description)
            if verdict is not None:
                return verdict
        if self._spread and spreads:
            verdict = self._reject_by_spread(node)
            if verdict is not None:
                return verdict
        return self._reject_by_pods(node)

    def _reject_by_resources(self, node: NodeState) -> Rejection:
        allocatable = node.description.allocatable
        lacking, may_help = [], True
        for resource, amount in self.requirements.requests:
            if amount > node.free.get(resource, 0):
                lacking.append(resource)
                if resource != "pods" and amount > allocatable.get(resource, 0):
                    may_help = False  # even empty it would be too small
        return rejection.insufficient(tuple(lacking), may_help)

    def _reject_by_spread(self, node: NodeState) -> Rejection | None:
        for constraint, tally in self._spread:
            domain = node.labels.get(constraint.topology_key)
            if domain is None:
                return rejection.SPREAD_LABEL_MISSING
            count = tally.counts.get(domain, 0) + constraint.counts_itself
            if count - tally.lowest(constraint.min_domains) > constraint.max_skew:
                return rejection.SPREAD
        return None

    def _reject_by_pods(self, node: NodeState) -> Rejection | None:
        if self._together and not self._finds_company(node):
            return rejection.POD_AFFINITY
        for tally in self._apart:
            domain = tally.domain_of.get(node.name)
            if domain is not None and tally.counts[domain]:
                return rejection.POD_ANTI_AFFINITY
        if self._repelled_version != self._repelling.version:
            self._look_up_repelling_terms()
        for topology_key, holders in self._repelled_from:
            if node.labels.get(topology_key) in holders:
                return rejection.EXISTING_ANTI_AFFINITY
        return None

    def _finds_company(self, node: NodeState) -> bool:
        company = True
        for tally in self._together:
            domain = tally.domain_of.get(node.name)
            if domain is None:
                return False
            if not tally.counts[domain]:
                company = False
        # The first pod of a group that wants to be together has nobody to join, and may start anywhere.
        return company or (self._goes_with_itself and not any(tally.total for tally in self._together))

    def _look_up_repelling_terms(self) -> None:
        about = self._repelling.about(self.requirements, self._namespace_labels)
        self._repelled_from = tuple((held.term.topology_key, holders) for held, holders in about)
        self._repelled_version = self._repelling.version


def spread_tally_key(
    requirements: PodRequirements, constraint: SpreadConstraint, beside: tuple[SpreadConstraint, ...]
) -> TallyKey:
    """Whom a constraint counts: only nodes that carry the labels of all constraints ``beside`` it are looked at."""
    return TallyKey(
        terms=(constraint.pods,),
        topology_key=constraint.topology_key,
        counts_terminating=False,
        required_labels=tuple(sorted({other.topology_key for other in beside})),
        matching=requirements.node_rules if constraint.honors_affinity else None,
        tolerating=requirements.node_rules if constraint.honors_taints else None,
    )
