"""How much of each resource a pod asks for, counted as the scheduler counts it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stratos.apis.pod import Container, PodSpec
from stratos.base.errors import FieldProblem, Invalid
from stratos.base.quantity import resource_amount

Amounts = dict[str, int]

# Scoring pretends that a container without requests needs this much, or such pods would all pile up on one node.
ASSUMED_WHEN_SCORING: Mapping[str, int] = {"cpu": 100, "memory": 200 * 1024 * 1024}


def effective_requests(spec: PodSpec, *, assumed: Mapping[str, int] | None = None) -> Amounts:
    """What the node must have free: containers and sidecars together, or the hungriest init container, plus overhead.

    What the pod requests as a whole takes the place of what its containers add up to. ``assumed`` stands in for
    requests that a container does not make. Raises `Invalid` naming the field when an amount is not a quantity.
    """
    assumed = assumed or {}
    running: Amounts = {}
    for index, container in enumerate(spec.containers):
        _add(running, _container_requests(container, f"spec.containers[{index}]", assumed))
    peak: Amounts = {}
    sidecars: Amounts = {}
    for index, container in enumerate(spec.init_containers or ()):
        needs = _container_requests(container, f"spec.initContainers[{index}]", assumed)
        if container.restart_policy == "Always":
            _add(running, needs)
            _add(sidecars, needs)
            _raise_to(peak, sidecars)
        else:
            # An init container runs beside the sidecars that were started before it.
            _add(needs, sidecars)
            _raise_to(peak, needs)
    _raise_to(running, peak)
    if spec.resources:
        running |= _amounts(spec.resources.requests or {}, "spec.resources.requests")
        for resource, limit in _amounts(spec.resources.limits or {}, "spec.resources.limits").items():
            running.setdefault(resource, limit)
    if spec.overhead:
        _add(running, _amounts(spec.overhead, "spec.overhead"))
    return running


def _container_requests(container: Container, path: str, assumed: Mapping[str, int]) -> Amounts:
    # A limit without a request is a request: servers fill it in, and manifests that never met one mean the same.
    limits = container.resources.limits or {}
    stated = {**limits, **(container.resources.requests or {})}
    return {**assumed, **_amounts(stated, f"{path}.resources.requests")}


def _amounts(quantities: Mapping[str, str | int | float], path: str) -> Amounts:
    amounts = {}
    for resource, quantity in quantities.items():
        try:
            amounts[resource] = resource_amount(resource, quantity)
        except Invalid as error:
            problem = FieldProblem(f"{path}[{resource}]", "FieldValueInvalid", str(error))
            raise Invalid(f"{problem.field}: {error}", problems=(problem,), hint=error.hint) from error
    return amounts


def node_amounts(quantities: Mapping[str, str | int | float]) -> Amounts:
    """What a node says it can give (``status.allocatable``), in the amounts that requests are counted in."""
    return _amounts(quantities, "status.allocatable")


def _add(total: Amounts, more: Mapping[str, int]) -> None:
    for resource, amount in more.items():
        total[resource] = total.get(resource, 0) + amount


def _raise_to(total: Amounts, floor: Mapping[str, int]) -> None:
    for resource, amount in floor.items():
        total[resource] = max(amount, total.get(resource, 0))


def positive(amounts: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    """The amounts that ask for something, in a fixed order."""
    return ((resource, amount) for resource, amount in sorted(amounts.items()) if amount > 0)
