"""What a claim asks of the cloud when its machine is launched."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

from stratos.apis import labels
from stratos.apis.meta import KubeObject
from stratos.apis.nodeclaim import NodeClaim, NodeState
from stratos.apis.nodeclasses import NODE_CLASS_KINDS
from stratos.apis.nodepool import NodePool, NodePoolSpec
from stratos.base.clock import Clock
from stratos.base.errors import NotFound
from stratos.kube.cache import Cache
from stratos.planning.pools.nodes import STANDBY_TAINT
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

    def __init__(self, provider: Provider, caches: dict[str, Cache[KubeObject]], *, clock: Clock) -> None:
        self._provider = provider
        self._caches = caches
        self._clock = clock
        self._known: dict[str, _Entry] = {}

    def get(self, claim: NodeClaim) -> KubeObject:
        """The class as it was written. Raises `NotFound`."""
        ref = claim.spec.node_class_ref
        found = self._caches[ref.kind].get(ref.name) if ref.kind in self._caches else None
        if found is None:
            kinds = ", ".join(sorted(NODE_CLASS_KINDS))
            raise NotFound(f"there is no {ref.kind} {ref.name}", hint=f"create it; a class may be any of {kinds}")
        return found

    async def resolve(self, claim: NodeClaim) -> ResolvedNodeClass:
        written = self.get(claim)
        version = f"{written.metadata.uid}/{written.metadata.generation}"
        now = self._clock.monotonic()
        known = self._known.get(version)
        if known is None or now >= known.at + _FRESH_SECONDS:
            known = self._known[version] = _Entry(await self._provider.resolve(written), now)
        return known.resolved


@dataclass(frozen=True, slots=True)
class _Entry:
    resolved: ResolvedNodeClass
    at: float


def turns_itself_off(pool: NodePoolSpec | None, node_class: KubeObject) -> bool:
    """Whether the machine ends its own warm-up: as the pool says, or else when its class brings raw user data."""
    mode = pool.pre_warm.completion_mode if pool else None
    if mode is not None:
        return mode == "SelfStop"
    return bool(getattr(getattr(node_class, "spec", None), "user_data", None))


def launch_request(
    claim: NodeClaim,
    pool: NodePool,
    resolved: ResolvedNodeClass,
    *,
    cluster: str,
    self_stop: bool,
    images_to_try: tuple[str, ...] = (),
) -> LaunchRequest:
    """The machine registers closed (with the standby taint): no pod may slip onto it before it is looked after."""
    template, pre_warm = pool.spec.template, pool.spec.pre_warm
    bootstrap = Bootstrap(
        cluster_name=cluster,
        node_labels={
            **template.node_labels,
            labels.POOL: claim.spec.pool,
            labels.CAPACITY_TYPE: claim.spec.capacity_type,
        },
        node_taints=(*template.taints, STANDBY_TAINT),
        images_to_pull=pre_warm.all_images,
        images_to_try=tuple(image for image in images_to_try if image not in pre_warm.all_images),
        image_pull_policy=ImagePullPolicy(pre_warm.image_pull_policy),
        power_off_when_ready=self_stop,
    )
    request = resolved.launch_request(
        token=claim.metadata.uid,
        bootstrap=bootstrap,
        capacity_type=CapacityType(claim.spec.capacity_type),
        first_subnet=zlib.crc32(claim.metadata.name.encode()),
        tags={
            labels.TAG_MANAGED_BY: labels.MANAGED_BY,
            labels.TAG_CLUSTER: cluster,
            labels.TAG_POOL: claim.spec.pool,
            labels.TAG_CLAIM: claim.metadata.name,
            labels.TAG_STATE: NodeState.WARMUP,
            labels.TAG_CAPACITY_TYPE: claim.spec.capacity_type,
        },
    )
    wanted_first = sorted(request.subnets, key=lambda subnet: subnet.zone != claim.spec.zone)
    return replace(request, subnets=tuple(wanted_first)) if claim.spec.zone else request
