"""Nodes and candidates that no rule of the problem can tell apart: each rule is asked once of each kind of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray

from stratos.base.selectors import LabelSelector
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import NodeRules, PodRequirements
from stratos.planning.scheduling.rules import reject_by_rules, reject_by_volumes
from stratos.planning.scheduling.selection import NodeTerms

Verdicts = NDArray[np.bool_]


class Sites:
    """What rules about nodes see of a node, numbered. A site stands for all nodes that look the same to all rules."""

    def __init__(self, requirements: Iterable[PodRequirements]) -> None:
        self.nodes: list[NodeDescription] = []  # one for each site
        rules = {each.node_rules for each in requirements}
        self._keys = tuple(sorted({key for each in rules for key in _labels_read_by(each)}))
        self._reads_names = any(term.name.requirements for each in rules for term in _terms_of(each))
        self._numbers: dict[Hashable, int] = {}
        self._verdicts: dict[NodeRules, Verdicts] = {}

    def number(self, node: NodeDescription) -> int:
        """The site of ``node``. All nodes must be numbered before the first verdict."""
        appearance = (
            tuple(node.labels.get(key) for key in self._keys),
            node.taints,
            node.unschedulable,
            node.name if self._reads_names else "",
        )
        number = self._numbers.get(appearance)
        if number is None:
            number = self._numbers[appearance] = len(self.nodes)
            self.nodes.append(node)
        return number

    def admitting(self, rules: NodeRules) -> Verdicts:
        """Which sites these rules allow."""
        verdicts = self._verdicts.get(rules)
        if verdicts is None:
            found = [
                reject_by_rules(rules, node) is None and reject_by_volumes(rules, node) is None for node in self.nodes
            ]
            verdicts = self._verdicts[rules] = np.array(found, dtype=np.bool_)
        return verdicts


def _terms_of(rules: NodeRules) -> NodeTerms:
    volumes = (term for terms in rules.volumes.reachable for term in terms)
    return (*(rules.required or ()), *volumes)


def _labels_read_by(rules: NodeRules) -> Iterable[str]:
    selectors: list[LabelSelector] = [rules.selector, rules.volumes.zones]
    selectors += [term.labels for term in _terms_of(rules)]
    return (requirement.key for selector in selectors for requirement in selector.requirements)
