"""Gives services their cluster address and node ports: derived from the name, moved on when taken."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from stratos.apiserver.admission.contract import AdmissionRequest, Operation
from stratos.apiserver.admission.plugins import Plugin, concerns, refuse
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.registry.resource import Obj

_FIRST_NODE_PORT, _NODE_PORTS = 30000, 2768
_RESERVED_ADDRESSES = 16  # the first few are left to those who ask for one by hand


class ServiceAddresses(Plugin):
    """The same service gets the same address again, as long as nobody else has it.

    Between admission and the stored object others may be admitted too, so what was given out is remembered.
    """

    def __init__(self, objects: ObservedObjects, network: str = "10.96.0.0/12") -> None:
        self._objects = objects
        self._network = IPv4Network(network)
        self._given: dict[str, str] = {}  # an address or port, and the service it was given to

    async def mutate(self, request: AdmissionRequest) -> None:
        if not concerns(request, "services", Operation.CREATE, Operation.UPDATE):
            return
        assert request.obj is not None
        spec, owner = request.obj["spec"], f"{request.namespace}/{request.obj['metadata'].get('name', request.name)}"
        if spec.get("type") == "ExternalName":
            return
        self._keep(spec, request.old_obj)
        taken = self._taken_by_others(owner)
        if not spec.get("clusterIP"):
            spec["clusterIP"] = self._take(self._addresses(owner), taken, owner, request)
        spec["clusterIPs"] = [spec["clusterIP"]]
        if spec.get("type") in ("NodePort", "LoadBalancer") and spec.get("allocateLoadBalancerNodePorts") is not False:
            for index, port in enumerate(spec.get("ports") or ()):
                if not port.get("nodePort"):
                    port["nodePort"] = int(self._take(_node_ports(f"{owner}/{index}"), taken, owner, request))
                taken.add(str(port["nodePort"]))

    async def validate(self, request: AdmissionRequest) -> None:
        if not concerns(request, "services", Operation.CREATE, Operation.UPDATE):
            return
        assert request.obj is not None
        spec, owner = request.obj["spec"], f"{request.namespace}/{request.name}"
        taken = self._taken_by_others(owner)
        wanted = spec.get("clusterIP")
        if wanted in taken:
            raise refuse(request, f"spec.clusterIPs: the provided IP ({wanted}) is already allocated")
        for port in spec.get("ports") or ():
            if str(port.get("nodePort")) in taken:
                raise refuse(request, f"spec.ports: the provided port ({port['nodePort']}) is already allocated")

    def _keep(self, spec: Obj, old: Obj | None) -> None:
        """An update that does not mention the address keeps it."""
        before = (old or {}).get("spec", {})
        if not spec.get("clusterIP") and before.get("clusterIP"):
            spec["clusterIP"] = before["clusterIP"]
        ports = {port.get("port"): port.get("nodePort") for port in before.get("ports") or ()}
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            for port in spec.get("ports") or ():
                if not port.get("nodePort") and ports.get(port.get("port")):
                    port["nodePort"] = ports[port["port"]]

    def _taken_by_others(self, owner: str) -> set[str]:
        services = self._objects.all("services")
        stored = {_key(service) for service in services}
        self._given = {what: whose for what, whose in self._given.items() if whose not in stored}
        taken = {what for what, whose in self._given.items() if whose != owner}
        for service in services:
            if _key(service) != owner:
                spec = service["spec"]
                taken |= {str(address) for address in spec.get("clusterIPs") or () if address != "None"}
                taken |= {str(port["nodePort"]) for port in spec.get("ports") or () if port.get("nodePort")}
        return taken

    def _take(self, candidates: Iterator[str], taken: set[str], owner: str, request: AdmissionRequest) -> str:
        for candidate in candidates:
            if candidate not in taken:
                if not request.dry_run:
                    self._given[candidate] = owner
                return candidate
        raise refuse(request, "failed to allocate an address: range is full")

    def _addresses(self, owner: str) -> Iterator[str]:
        usable = self._network.num_addresses - _RESERVED_ADDRESSES - 1
        start = _number(owner)
        for step in range(usable):
            offset = _RESERVED_ADDRESSES + (start + step) % usable
            yield str(IPv4Address(int(self._network.network_address) + offset))


def _node_ports(owner: str) -> Iterator[str]:
    start = _number(owner)
    for step in range(_NODE_PORTS):
        yield str(_FIRST_NODE_PORT + (start + step) % _NODE_PORTS)


def _key(service: Obj) -> str:
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"


def _number(owner: str) -> int:
    return int.from_bytes(hashlib.sha256(owner.encode()).digest()[:8], "big")
