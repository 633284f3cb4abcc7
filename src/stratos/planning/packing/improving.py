"""Turn the machines that `patterns` found into places for the pods that the first answer bought machines for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from stratos.planning.packing.bins import Bins
from stratos.planning.packing.classes import Vector
from stratos.planning.packing.demand import Machine
from stratos.planning.packing.filling import Place, shrink_machines
from stratos.planning.packing.stating import Statement
from stratos.planning.scheduling.requirements import PodRequirements


def rearrange(
    places: Sequence[Place],
    before: Bins,
    fresh: Bins,
    statement: Statement,
    machines: Sequence[Machine],
    wanted: Mapping[PodRequirements, Vector],
) -> list[Place]:
    """The same pods in the same order, on ``machines`` instead: opened in ``fresh``, bins without any pods yet.

    A class is asked for zone by zone, so each pod stays in its zone, and counts by zone are at every step what they
    were. Machines that the statement does not speak of stay as they are.
    """
    new_bin: dict[int, int] = {}
    for members, bins in zip(statement.members, _bins_of_classes(fresh, statement, machines), strict=True):
        new_bin.update(zip(members, bins, strict=True))
    staying: dict[int, int] = {}
    arranged = []
    for index, place in enumerate(places):
        target = new_bin.get(index, place.bin)
        if index not in new_bin and before.is_machine(place.bin):
            if place.bin not in staying:
                lot, choice = int(before.lot[place.bin]), int(before.choice[place.bin])
                staying[place.bin] = int(fresh.open(lot, choice, 1)[0])
            target = staying[place.bin]
        arranged.append(replace(place, bin=target))
    for (requirements, target), number in Counter((place.requirements, place.bin) for place in arranged).items():
        fresh.take(np.array([target]), np.array([number]), wanted[requirements])
    shrink_machines(fresh)
    return arranged


def _bins_of_classes(fresh: Bins, statement: Statement, machines: Sequence[Machine]) -> list[list[int]]:
    """Open the machines; for each class, the bin of each of its pods."""
    bins: list[list[int]] = [[] for _ in statement.members]
    for machine in machines:
        lot, choice = statement.kinds[machine.kind]
        opened = int(fresh.open(lot, choice, 1)[0])
        for number, pods in machine.counts:
            bins[number] += [opened] * pods
    return bins
