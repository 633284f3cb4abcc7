"""Pods that ask for the same are one class: placed together, judged together. Amounts become vectors here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.problem import PodToPlace
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import PodRequirements

Vector = NDArray[np.int64]
NO_LIMIT = 1 << 40  # more than any node attaches or any problem has pods


@dataclass(frozen=True, slots=True)
class PodClass:
    requirements: PodRequirements
    keys: tuple[str, ...]  # of its pods, sorted


def classes_of(pods: Iterable[PodToPlace]) -> list[PodClass]:
    """The classes among ``pods``, by their first key."""
    members: dict[PodRequirements, list[str]] = {}
    for pod in pods:
        members.setdefault(pod.requirements, []).append(pod.key)
    found = [PodClass(requirements, tuple(sorted(keys))) for requirements, keys in members.items()]
    return sorted(found, key=lambda each: each.keys[0])


class Scale:
    """Which resources a problem is about, each one a row of its vectors.

    Volumes to attach are counted as a resource of their driver. Pods that share a volume are thereby counted twice:
    a room found so is always there, and one that is missed is found when the rules themselves are asked.
    """

    def __init__(self, requirements: Iterable[PodRequirements]) -> None:
        resources: set[str] = set()
        drivers: set[str] = set()
        for each in requirements:
            resources.update(resource for resource, _ in each.requests)
            drivers.update(attachment.driver for attachment in each.node_rules.volumes.attachments)
        self.resources = tuple(sorted(resources))
        self.drivers = tuple(sorted(drivers))
        self._known: dict[PodRequirements, Vector] = {}
        self._row = {resource: row for row, resource in enumerate(self.resources)}

    @property
    def rows(self) -> int:
        return len(self.resources) + len(self.drivers)

    def wanted(self, requirements: PodRequirements) -> Vector:
        """What a pod asks for; not to be changed."""
        known = self._known.get(requirements)
        if known is None:
            known = self._known[requirements] = self._vector(requirements)
        return known

    def _vector(self, requirements: PodRequirements) -> Vector:
        vector = np.zeros(self.rows, dtype=np.int64)
        for resource, amount in requirements.requests:
            row = self._row.get(resource)
            if row is not None:  # else nobody that is to be placed asks for it
                vector[row] = amount
        if self.drivers:
            attached = Counter(attachment.driver for attachment in requirements.node_rules.volumes.attachments)
            for row, driver in enumerate(self.drivers, len(self.resources)):
                vector[row] = attached[driver]
        return vector

    def offered(self, node: NodeDescription) -> Vector:
        return np.array(
            [node.allocatable.get(resource, 0) for resource in self.resources]
            + [node.attach_limits.get(driver, NO_LIMIT) for driver in self.drivers],
            dtype=np.int64,
        )


def in_order(classes: Sequence[PodClass], wanted: Mapping[PodRequirements, Vector]) -> list[PodClass]:
    """Classes in the order in which they are to be placed: the largest pods first, and no resource ahead of the others.

    Machines fill up in this order, so each stretch of it should want resources in the proportion in which all pods
    together do; that is why a class that is a large part of the whole comes in several pieces.
    """
    if not classes:
        return []
    vectors = np.array([wanted[each.requirements] for each in classes], dtype=np.float64)
    numbers = np.array([len(each.keys) for each in classes], dtype=np.float64)
    shares = vectors / np.maximum(numbers @ vectors, 1.0)  # of a pod, in all that is asked for
    sizes = shares.sum(axis=1)
    # By the resource they weigh on most, the largest pods last: they are taken from the end.
    waiting: list[list[int]] = [[] for _ in range(shares.shape[1])]
    for index in sorted(range(len(classes)), key=lambda at: (round(float(sizes[at]), 15), classes[at].keys[0])):
        waiting[int(shares[index].argmax())].append(index)
    taken = [0] * len(classes)
    reached = [0.0] * len(waiting)
    pieces = []
    resources = [row for row in range(len(waiting)) if waiting[row]]
    while resources:
        lagging = min(resources, key=lambda row: (reached[row], row))
        index = waiting[lagging][-1]
        keys = classes[index].keys
        piece = max(1, int(_LARGEST_PIECE / shares[index].max()))
        chosen = keys[taken[index] : taken[index] + piece]
        pieces.append(PodClass(classes[index].requirements, chosen))
        taken[index] += len(chosen)
        reached = [so_far + len(chosen) * share for so_far, share in zip(reached, shares[index].tolist(), strict=True)]
        if taken[index] == len(keys):
            waiting[lagging].pop()
            if not waiting[lagging]:
                resources.remove(lagging)
    return pieces


_LARGEST_PIECE = 1 / 64  # of all that is asked for
