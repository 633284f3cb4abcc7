"""What a packing leaves behind, and what the pods it left over would have to give up, for a problem on its own.

Provisioning asks the same of its basket, where the machines of many packings are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from stratos.planning.packing.problem import Candidate, Packing, PackingProblem
from stratos.planning.packing.relaxing import WaysOut, state_of
from stratos.planning.packing.settling import machine_node
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.placement import PlacedPod


def with_relaxations(problem: PackingProblem, packing: Packing) -> Packing:
    """``packing``, every pod that it left over told what it would have to give up."""
    if not packing.unplaced:
        return packing
    asked = {pod.key: pod.requirements for pod in problem.pods}
    kinds = list(dict.fromkeys(asked[each.pod] for each in packing.unplaced))
    ways_out = WaysOut(state_after(problem, packing), _still_to_be_had(problem, packing), kinds)
    found = {requirements: ways_out.of(requirements) for requirements in kinds}
    unplaced = (replace(each, relaxations=found[asked[each.pod]]) for each in packing.unplaced)
    return replace(packing, unplaced=tuple(unplaced))


def state_after(problem: PackingProblem, packing: Packing) -> ClusterState:
    """The cluster once everything is where ``packing`` puts it."""
    asked = {pod.key: pod.requirements for pod in problem.pods}
    state = state_of(problem.existing, problem.namespace_labels)
    for key, name in packing.assignments.items():
        state.add_pod(PlacedPod(key, asked[key]), name)
    for number, machine in enumerate(packing.machines):
        name = f"new/{number}"
        state.set_node(machine_node(machine.candidate, name))
        for key in machine.pods:
            state.add_pod(PlacedPod(key, asked[key]), name)
    return state


def _still_to_be_had(problem: PackingProblem, packing: Packing) -> list[Candidate]:
    bought = Counter((machine.candidate.template, machine.candidate.offering) for machine in packing.machines)
    return [
        candidate
        for candidate in problem.candidates
        if candidate.most is None or bought[candidate.template, candidate.offering] < candidate.most
    ]
