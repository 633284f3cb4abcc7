"""The kinds every Kubernetes server has: their names, columns, defaults and rules, one module per family."""

from __future__ import annotations

from stratos.apiserver.registry.builtin import (
    batch,
    core,
    endpoints,
    network,
    nodes,
    pods,
    policy,
    rbac,
    services,
    storage,
    webhooks,
    workloads,
)
from stratos.apiserver.registry.resource import Resource

_FAMILIES = (core, nodes, pods, services, endpoints, network, storage, workloads, batch, policy, rbac, webhooks)


def builtin_resources() -> tuple[Resource, ...]:
    """Every built-in kind this server serves."""
    return tuple(resource for family in _FAMILIES for resource in family.RESOURCES)
