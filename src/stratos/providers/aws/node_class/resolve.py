"""All of a class at once: its four parts are looked up side by side, and each fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from stratos.apis.awsnodeclass import AWSNodeClass, KubeletSettings, MetadataOptions
from stratos.apis.meta import KubeObject
from stratos.base.errors import FieldProblem, Invalid, StratosError, Throttled, Unauthorized, Unavailable
from stratos.catalog.catalog import Catalog
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.node_class.images import find_image
from stratos.providers.aws.node_class.network import find_security_groups, find_subnets
from stratos.providers.aws.node_class.not_found import NotMatched
from stratos.providers.aws.node_class.profile import keep_profile
from stratos.providers.aws.settings import AwsSettings
from stratos.providers.aws.user_data import user_data
from stratos.providers.contract import Bootstrap, FailureReason, NodeClassPart, PartFailure, ResolvedNodeClass
from stratos.providers.contract.as_written import ARCHITECTURES, architecture_conflict, as_written

T = TypeVar("T")


async def resolve_node_class(
    clients: AwsClients,
    node_class: KubeObject,
    *,
    catalog: Catalog,
    cluster: ClusterAccess,
    arch: str = "",
    gpu: str = "",
) -> ResolvedNodeClass:
    """The class, with all that was found and why the rest was not. The instance profile of a role is made.

    Raises `Invalid` for what is wrong with the class itself, whatever the account holds.
    """
    if not isinstance(node_class, AWSNodeClass):
        raise _invalid(
            "kind", f"EC2 does not run {node_class.kind or type(node_class).__name__}", "use an AWSNodeClass"
        )
    written = as_written(node_class, catalog)
    settings = _settings(node_class, clients.region)
    _check(node_class, written, settings, clients.region, cluster)
    spec = node_class.spec
    conflict = "" if arch else architecture_conflict(node_class, catalog)
    own = catalog.instance_type(spec.instance_type).gpu if spec.instance_type and not arch else None
    wanted = (arch or ARCHITECTURES[spec.architecture], own.manufacturer if own else gpu)
    misses = _Misses()
    image, subnets, groups, profile = await asyncio.gather(
        _part(NodeClassPart.IMAGE, misses, find_image(clients, spec, *wanted, cluster, conflict), ""),
        _part(NodeClassPart.SUBNETS, misses, find_subnets(clients, spec), ()),
        _part(NodeClassPart.SECURITY_GROUPS, misses, find_security_groups(clients, spec), ()),
        _part(NodeClassPart.INSTANCE_PROFILE, misses, keep_profile(clients, node_class, cluster.name), ""),
    )
    order = list(NodeClassPart)
    for part in order:
        if part in misses.unanswered:
            raise misses.unanswered[part]  # always the first, lest the class says something else at each look
    return replace(
        written,
        image=image,
        subnets=subnets,
        security_groups=groups,
        instance_profile=profile,
        failures=tuple(sorted(misses.failures, key=lambda failure: order.index(failure.part))),
        settings=settings.to_settings(),
    )


@dataclass(frozen=True, slots=True)
class _Misses:
    failures: list[PartFailure] = field(default_factory=list)
    unanswered: dict[NodeClassPart, StratosError] = field(default_factory=dict)


async def _part(part: NodeClassPart, misses: _Misses, lookup: Coroutine[Any, Any, T], nothing: T) -> T:
    try:
        return await lookup
    except NotMatched as error:
        misses.failures.append(PartFailure(part, error.reason, error.in_a_line()))
    except (Throttled, Unauthorized, Unavailable) as error:
        misses.unanswered[part] = error  # that says nothing of the class: whoever called asks again
    except StratosError as error:
        misses.failures.append(PartFailure(part, FailureReason.RESOLUTION_FAILED, error.in_a_line()))
    return nothing


def _settings(node_class: AWSNodeClass, region: str) -> AwsSettings:
    spec = node_class.spec
    metadata = spec.metadata_options or MetadataOptions()
    spot = spec.spot_config
    return AwsSettings(
        bootstrap_template=spec.bootstrap_template,
        region=region,
        user_data=spec.user_data or "",
        user_data_type=spec.user_data_type,
        custom_user_data=spec.custom_user_data or "",
        kubelet_extra_args=(spec.kubelet or KubeletSettings()).extra_args,
        http_tokens=metadata.http_tokens or "",
        http_put_response_hop_limit=metadata.http_put_response_hop_limit,
        http_endpoint=metadata.http_endpoint or "",
        hibernation=spec.hibernation,
        **({"allocation_strategy": spot.allocation_strategy} if spot else {}),
    )


def _check(
    node_class: AWSNodeClass, written: ResolvedNodeClass, settings: AwsSettings, region: str, cluster: ClusterAccess
) -> None:
    """What would otherwise come out at the first launch, when a pod waits."""
    spec = node_class.spec
    if spec.region not in (None, region):
        hint = f"leave it out, or run a controller with --region {spec.region} for its cluster"
        raise _invalid("spec.region", f"is {spec.region}, and the controller looks after machines in {region}", hint)
    if settings.bootstrap_template == "Bottlerocket" and settings.kubelet_extra_args:
        hint = "say it in customUserData, under [settings.kubernetes]"
        raise _invalid(
            "spec.kubelet.extraArgs", "is not for Bottlerocket, whose kubelet takes settings, no flags", hint
        )
    bootstrap = Bootstrap(
        cluster.name, node_labels=written.node_labels, node_taints=written.node_taints, max_pods=written.max_pods
    )
    user_data(bootstrap, settings, cluster)


def _invalid(field: str, message: str, hint: str) -> Invalid:
    return Invalid(f"{field} {message}", problems=(FieldProblem(field, "FieldValueInvalid", message),), hint=hint)
