"""Why a pod may not run on a node, in kube-scheduler's words, so that tools which read its messages read ours."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Rule(StrEnum):
    """The rules of the scheduler, by the names of the plugins that enforce them there."""

    NODE_UNSCHEDULABLE = "NodeUnschedulable"
    TAINT_TOLERATION = "TaintToleration"
    NODE_AFFINITY = "NodeAffinity"
    NODE_PORTS = "NodePorts"
    NODE_RESOURCES_FIT = "NodeResourcesFit"
    NODE_VOLUME_LIMITS = "NodeVolumeLimits"
    VOLUME_BINDING = "VolumeBinding"
    VOLUME_ZONE = "VolumeZone"
    POD_TOPOLOGY_SPREAD = "PodTopologySpread"
    INTER_POD_AFFINITY = "InterPodAffinity"


@dataclass(frozen=True, slots=True)
class Rejection:
    """The first rule that a node breaks, and what is wrong with it there."""

    rule: Rule
    reasons: tuple[str, ...]
    preemption_may_help: bool  # would the node do if some of its pods were gone?


UNSCHEDULABLE = Rejection(Rule.NODE_UNSCHEDULABLE, ("node(s) were unschedulable",), False)
AFFINITY = Rejection(Rule.NODE_AFFINITY, ("node(s) didn't match Pod's node affinity/selector",), False)
NOT_PINNED = Rejection(Rule.NODE_AFFINITY, ("node(s) didn't satisfy plugin(s) [NodeAffinity]",), False)
VOLUME_AFFINITY = Rejection(Rule.VOLUME_BINDING, ("node(s) had volume node affinity conflict",), False)
PORTS = Rejection(Rule.NODE_PORTS, ("node(s) didn't have free ports for the requested pod ports",), True)
VOLUME_LIMIT = Rejection(Rule.NODE_VOLUME_LIMITS, ("node(s) exceed max volume count",), True)
VOLUME_ZONE = Rejection(Rule.VOLUME_ZONE, ("node(s) had no available volume zone",), False)
SPREAD = Rejection(Rule.POD_TOPOLOGY_SPREAD, ("node(s) didn't match pod topology spread constraints",), True)
SPREAD_LABEL_MISSING = Rejection(
    Rule.POD_TOPOLOGY_SPREAD, ("node(s) didn't match pod topology spread constraints (missing required label)",), False
)
POD_AFFINITY = Rejection(Rule.INTER_POD_AFFINITY, ("node(s) didn't match pod affinity rules",), False)
POD_ANTI_AFFINITY = Rejection(Rule.INTER_POD_AFFINITY, ("node(s) didn't match pod anti-affinity rules",), True)
EXISTING_ANTI_AFFINITY = Rejection(
    Rule.INTER_POD_AFFINITY, ("node(s) didn't satisfy existing pods anti-affinity rules",), True
)


@lru_cache(maxsize=4096)
def untolerated_taint(key: str, value: str) -> Rejection:
    return Rejection(Rule.TAINT_TOLERATION, (f"node(s) had untolerated taint {{{key}: {value}}}",), False)


@lru_cache(maxsize=4096)
def insufficient(resources: tuple[str, ...], preemption_may_help: bool) -> Rejection:
    """``resources`` that the node has too little of; ``pods`` means that it holds as many pods as it may."""
    reasons = tuple("Too many pods" if name == "pods" else f"Insufficient {name}" for name in resources)
    return Rejection(Rule.NODE_RESOURCES_FIT, reasons, preemption_may_help)
