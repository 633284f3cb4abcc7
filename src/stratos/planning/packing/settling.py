"""Bind the proposed places pod by pod, by the rules themselves, and find places for pods that were left over.

The rules are those of `planning.scheduling`, asked about each pod with all nodes and machines there and the pods before
it bound: an answer that went through here can be bound in that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from stratos.apis import labels
from stratos.planning.packing.bins import Bins
from stratos.planning.packing.classes import PodClass, Scale, Vector
from stratos.planning.packing.filling import Place
from stratos.planning.packing.problem import Candidate, PackingProblem
from stratos.planning.packing.sites import Sites
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.rejection import Rejection
from stratos.planning.scheduling.requirements import PodRequirements


def machine_node(candidate: Candidate, name: str) -> NodeDescription:
    """The node that a machine becomes: like its candidate, with a name and a hostname of its own."""
    return replace(candidate.node, name=name, labels={**candidate.node.labels, labels.HOSTNAME: name})


class Settling:
    """The cluster of the problem with its bins, and the pods bound so far."""

    def __init__(self, problem: PackingProblem, bins: Bins, sites: Sites, scale: Scale) -> None:
        self.bins = bins
        self._sites = sites
        self._scale = scale
        self.cluster = ClusterState(problem.namespace_labels)
        for node in bins.existing:
            self.cluster.set_node(node.description)
            for pod in node.pods:
                self.cluster.add_pod(pod, node.description.name)
        for index in range(len(bins.existing), bins.size):
            self.cluster.set_node(self.node(index))
        self.places: list[Place] = []

    def node(self, index: int) -> NodeDescription:
        """The node of a bin, as things stand."""
        bins = self.bins
        if not bins.is_machine(index):
            return bins.existing[index].description
        return machine_node(bins.machine(index), _name(index))

    def bind(self, places: Iterable[Place]) -> list[Place]:
        """Bind pods in order; returns those that the rules do not allow where they were to go."""
        refused = []
        nodes = self.cluster.nodes
        names = {index: node.description.name for index, node in enumerate(self.bins.existing)}
        for place in places:
            name = names.get(place.bin) or names.setdefault(place.bin, _name(place.bin))
            if self.cluster.check(place.requirements).reject(nodes[name]) is None:
                self._bind(place, name)
            else:
                refused.append(place)
        return refused

    def release(self, places: Iterable[Place], wanted: dict[PodRequirements, Vector]) -> list[PodClass]:
        """Give back the room of refused pods, and sort them into classes again."""
        members: dict[PodRequirements, list[str]] = {}
        for place in places:
            self.bins.take(np.array([place.bin]), np.array([-1]), wanted[place.requirements])
            members.setdefault(place.requirements, []).append(place.pod)
        return [PodClass(requirements, tuple(sorted(keys))) for requirements, keys in members.items()]

    def place_left_over(self, classes: Sequence[PodClass]) -> list[PodClass]:
        """Find any allowed place, bin by bin; returns what really cannot be placed.

        A pod that is placed may be the company that another waits for, so the rest is asked again.
        """
        waiting = list(classes)
        while True:
            still: list[PodClass] = []
            for each in waiting:
                placed = self._place_one_by_one(each)
                if placed < len(each.keys):
                    still.append(PodClass(each.requirements, each.keys[placed:]))
            if sum(len(each.keys) for each in still) == sum(len(each.keys) for each in waiting):
                return still
            waiting = still

    def _place_one_by_one(self, each: PodClass) -> int:
        wanted = self._scale.wanted(each.requirements)
        for number, key in enumerate(each.keys):
            index = self._find_bin(each.requirements, wanted)
            if index is None:
                index = self._open_machine(each.requirements, wanted)
            if index is None:
                return number
            self.bins.take(np.array([index]), np.array([1]), wanted)
            self._bind(Place(key, each.requirements, index, each.requirements), self.node(index).name)
        return len(each.keys)

    def _find_bin(self, requirements: PodRequirements, wanted: Vector) -> int | None:
        bins = self.bins
        exact = wanted.copy()
        exact[len(self._scale.resources) :] = 0  # volumes that pods share are counted by the rules alone
        fits = bins.fits(exact, self._sites.admitting(requirements.node_rules)[bins.site], 1)
        check = self.cluster.check(requirements)
        for index in fits.nonzero()[0].tolist():
            if check.reject(self.cluster.nodes[self.node(index).name]) is None:
                return int(index)
        return None

    def _open_machine(self, requirements: PodRequirements, wanted: Vector) -> int | None:
        """Open the cheapest machine on which the rules allow the pod."""
        bins = self.bins
        admitting = self._sites.admitting(requirements.node_rules)
        found: list[tuple[float, int, int]] = []
        for index, lot in enumerate(bins.lots):
            choice = lot.cheapest_holding(wanted) if admitting[lot.site] else None
            if choice is not None:
                found.append((float(lot.prices[choice]), index, choice))
        name = _name(bins.size)
        for _, index, choice in sorted(found):
            self.cluster.set_node(machine_node(bins.lots[index].candidates[choice], name))
            if self.cluster.check(requirements).reject(self.cluster.nodes[name]) is None:
                return int(bins.open(index, choice, 1)[0])
            self.cluster.remove_node(name)
        return None

    def refusal(self, requirements: PodRequirements, index: int) -> Rejection:
        """Why such a pod, which found no place, may not go into this bin."""
        refusal = self.cluster.check(requirements).reject(self.cluster.nodes[self.node(index).name])
        assert refusal is not None, "a pod was left over that fits into a bin"
        return refusal

    def refusal_on_one_more(self, requirements: PodRequirements, lot: int, choice: int) -> Rejection:
        """Why it could not go on a machine that would be bought for it."""
        name = _name(self.bins.size)
        self.cluster.set_node(machine_node(self.bins.lots[lot].candidates[choice], name))
        refusal = self.cluster.check(requirements).reject(self.cluster.nodes[name])
        self.cluster.remove_node(name)
        assert refusal is not None, "a pod was left over for which a machine could be bought"
        return refusal

    def _bind(self, place: Place, node_name: str) -> None:
        self.cluster.add_pod(PlacedPod(place.pod, place.requirements), node_name)
        self.places.append(place)


def _name(index: int) -> str:
    return f"new/{index}"  # a slash: no node that is there is called so
