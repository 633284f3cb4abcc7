"""What the scheduler says when no node fits: ``0/5 nodes are available: 2 Insufficient cpu, …``.

The form is kube-scheduler's to the letter, because autoscalers, dashboards and people search for its words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from stratos.planning.scheduling.rejection import Rejection

NO_NODES = "no nodes available to schedule pods"


def describe_rejections(nodes: int, rejections: Iterable[Rejection]) -> str:
    """Count the reasons of ``rejections`` among ``nodes``. A node that breaks one rule twice is counted twice."""
    counts: Counter[str] = Counter()
    for rejection, number in Counter(rejections).items():
        for reason in rejection.reasons:
            counts[reason] += number
    return describe_counts(nodes, counts)


def describe_counts(nodes: int, counts: Mapping[str, int]) -> str:
    # Sorted as text, number first: that is the order kube-scheduler prints.
    reasons = ", ".join(sorted(f"{number} {reason}" for reason, number in counts.items()))
    return f"0/{nodes} nodes are available: {reasons}." if reasons else f"0/{nodes} nodes are available."
