"""Why a pod was left over: every candidate and every node, by the constraint that rejected it."""

from __future__ import annotations

from collections.abc import Sequence

from stratos.base.words import counted
from stratos.planning.packing.classes import PodClass
from stratos.planning.packing.problem import PackingProblem, Unplaced
from stratos.planning.scheduling.rejection import Rule


def explain_left_over(problem: PackingProblem, classes: Sequence[PodClass]) -> tuple[Unplaced, ...]:
    message = f"none of {counted(len(problem.candidates), 'candidate')} holds it"
    found = [Unplaced(key, Rule.NODE_RESOURCES_FIT, message) for each in classes for key in each.keys]
    return tuple(sorted(found, key=lambda each: each.pod))
