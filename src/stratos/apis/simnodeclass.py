"""SimNodeClass: how the simulated cloud launches machines."""

from __future__ import annotations

from typing import Annotated

from stratos.apis.awsnodeclass import KubeletSettings, NodeClassStatus
from stratos.apis.fields import Duration, NonEmpty, described
from stratos.apis.labels import GROUP
from stratos.apis.meta import Kind, KubeObject, Struct


class SimNodeClassSpec(Struct):
    instance_type: Annotated[
        NonEmpty | None,
        described("A type of the catalog, such as m5.large. Pools need one, node templates choose for themselves."),
    ] = None
    zones: Annotated[tuple[NonEmpty, ...], described("The zones; launches take turns. Unset: all of the cloud.")] = ()
    image: Annotated[str | None, described("The machine image. Unset: the recommended one.")] = None
    boot_time: Annotated[Duration | None, described("Cold boot, always this long. Unset: drawn for each boot.")] = None
    start_time: Annotated[Duration | None, described("Start from stopped, always this long.")] = None
    disk_size: Annotated[int, described("GiB.", ge=1)] = 100
    image_streaming: Annotated[
        bool, described("Containers start from images that are still being fetched, as on GKE and AKS if told so.")
    ] = False
    kubelet: KubeletSettings | None = None
    warmup_script: Annotated[
        str | None, described("Run once while the machine is prepared: lines such as 'prefetch weights 20Gi'.")
    ] = None
    tags: Annotated[dict[str, str], described("Tags of the machines.")] = {}


class SimNodeClass(KubeObject, kw_only=True):
    spec: SimNodeClassSpec
    status: NodeClassStatus = NodeClassStatus()


SIM_NODE_CLASS = Kind(
    group=GROUP, version="v1alpha1", plural="simnodeclasses", kind="SimNodeClass", namespaced=False, type=SimNodeClass
)
