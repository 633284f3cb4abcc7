"""What a claim asks of the cloud when its machine is launched."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

from stratos.apis import labels
from stratos.apis.awsnodeclass import AWSNodeClass
from stratos.apis.nodeclaim import NodeClaim, NodeState
from stratos.apis.nodeclasses import NODE_CLASS_KINDS, NodeClass, prepares_machines
from stratos.apis.nodepool import NodePoolSpec
from stratos.base.clock import Clock
from stratos.base.errors import NotFound, NotReady
from stratos.kube.cache import Cache
from stratos.planning.pools.nodes import STANDBY_TAINT, labels_at_birth
from stratos.providers.contract import (
    Bootstrap,
    CapacityType,
    ImagePullPolicy,
    LaunchRequest,
    Provider,
    ResolvedNodeClass,
)

_FRESH_SECONDS = 60.0  # classes change in the cloud too


class ClassBook:
    """What classes mean in the cloud, looked up at most once in a while for each version of a class."""

    def __init__(self, provider: Provider, caches: dict[str, Cache[NodeClass]], *, clock: Clock) -> None:
        self._provider = provider
        self._caches = caches
        self._clock = clock
        self._known: dict[str, _Entry] = {}

    def get(self, claim: NodeClaim) -> NodeClass:
        """The class as it was written. Raises `NotFound`."""
        ref = claim.spec.node_class_ref
        found = self._caches[ref.kind].get(ref.name) if ref.kind in self._caches else None
        if found is None:
            kinds = ", ".join(sorted(NODE_CLASS_KINDS))
            raise NotFound(f"there is no {ref.kind} {ref.name}", hint=f"create it; a class may be any of {kinds}")
        return found

    async def resolve(self, claim: NodeClaim) -> ResolvedNodeClass:
        written = self.get(claim)
        chosen = self._provider.catalog.instance_type(claim.spec.instance_type) if claim.spec.instance_type else None
        arch, gpu = chosen.arch if chosen else "", chosen.gpu.manufacturer if chosen and chosen.gpu else ""
        version = f"{written.metadata.uid}/{written.metadata.generation}/{arch}/{gpu}"
        now = self._clock.monotonic()
        known = self._known.get(version)
        if known is None or now >= known.at + _FRESH_SECONDS:
            known = self._known[version] = _Entry(await self._provider.resolve(written, arch=arch, gpu=gpu), now)
        return known.resolved


@dataclass(frozen=True, slots=True)
class _Entry:
    resolved: ResolvedNodeClass
    at: float


def turns_itself_off(pool: NodePoolSpec | None, node_class: NodeClass) -> bool:
    """Whether the machine ends its own warm-up: as the pool says, or else when its class brings raw user data."""
    spec = node_class.spec if isinstance(node_class, AWSNodeClass) else None
    brings_its_own = spec is not None and spec.user_data is not None
    if not brings_its_own and not prepares_machines(node_class):
        return False  # nothing on it could
    mode = pool.pre_warm.completion_mode if pool else None
    if mode is not None:
        return mode == "SelfStop"
    return brings_its_own and spec is not None and spec.user_data_type == "Raw"


def launch_request(
    claim: NodeClaim,
    settings: NodePoolSpec,
    resolved: ResolvedNodeClass,
    *,
    cluster: str,
    cluster_uid: str,
    self_stop: bool,
    images_to_try: tuple[str, ...] = (),
    on_demand_price: float | None = None,
) -> LaunchRequest:
    """``on_demand_price`` is that of the class's own type: a pool's spot machine may be any of several, but not dearer.

    The machine registers closed (with the standby taint): no pod may slip onto it before it is looked after.

    A template's claim stands for one offering, and is launched as that or not at all.
    """
    replaced = claim.metadata.annotations.get(labels.SPOT_REPLACING_NODE, "")
    template, pre_warm, spec = settings.template, settings.pre_warm, claim.spec
    bootstrap = Bootstrap(
        cluster_name=cluster,
        node_labels={**template.node_labels, **labels_at_birth(claim)},
        node_taints=(*template.taints, STANDBY_TAINT),
        images_to_pull=pre_warm.all_images,
        images_to_try=tuple(image for image in images_to_try if image not in pre_warm.all_images),
        image_pull_policy=ImagePullPolicy(pre_warm.image_pull_policy),
        power_off_when_ready=self_stop,
        max_pods=spec.node.max_pods if spec.node else None,
    )
    request = resolved.launch_request(
        token=claim.metadata.uid,
        bootstrap=bootstrap,
        capacity_type=CapacityType(spec.capacity_type),
        instance_types=(spec.instance_type,) if spec.instance_type else (),
        first_subnet=zlib.crc32(claim.metadata.name.encode()),
        tags={
            labels.TAG_MANAGED_BY: labels.MANAGED_BY,
            labels.TAG_CLUSTER: cluster,
            **({labels.TAG_CLUSTER_UID: cluster_uid} if cluster_uid else {}),
            **({labels.TAG_POOL: spec.pool} if spec.pool else {labels.TAG_TEMPLATE: spec.template}),
            labels.TAG_CLAIM: claim.metadata.name,
            labels.TAG_STATE: NodeState.WARMUP,
            labels.TAG_CAPACITY_TYPE: spec.capacity_type,
            **({labels.TAG_REPLACING_NODE: replaced} if replaced else {}),
        },
    )
    if spec.template and spec.zone:
        return _in_its_zone(request, claim)
    if claim.is_spot and spec.pool:
        request = replace(request, max_price_usd_per_hour=_least(request.max_price_usd_per_hour, on_demand_price))
    wanted_first = sorted(request.subnets, key=lambda subnet: subnet.zone != spec.zone)
    return replace(request, subnets=tuple(wanted_first)) if spec.zone else request


def _least(*amounts: float | None) -> float | None:
    return min((amount for amount in amounts if amount is not None), default=None)


def _in_its_zone(request: LaunchRequest, claim: NodeClaim) -> LaunchRequest:
    there = tuple(subnet for subnet in request.subnets if subnet.zone == claim.spec.zone)
    if not there:
        ref, zones = claim.spec.node_class_ref, sorted({subnet.zone for subnet in request.subnets})
        raise NotReady(
            f"{ref.kind} {ref.name} has no subnet in {claim.spec.zone}", looked_at=(f"zones: {', '.join(zones)}",)
        )
    return replace(request, subnets=there)
