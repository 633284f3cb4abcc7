"""The device plugin of simulated hosts: it offers each GPU as often as the node's labels ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stratos.apis import labels
from stratos.providers.contract import MachineShape
from stratos.providers.simulated.host import Host


def with_shared_gpus(host: Host) -> Host:
    """The host as its pods see it: pods that share a GPU each find one."""
    gpu, replicas = host.shape.instance_type.gpu, host.bootstrap.node_labels.get(labels.GPU_REPLICAS)
    if gpu is None or replicas is None:
        return host

    def shared(amounts: Mapping[str, int]) -> dict[str, int]:
        return {**amounts, gpu.resource: amounts.get(gpu.resource, 0) * int(replicas)}

    shape: MachineShape = host.shape
    return replace(host, shape=replace(shape, capacity=shared(shape.capacity), allocatable=shared(shape.allocatable)))
