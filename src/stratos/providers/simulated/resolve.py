"""Look up what a node class selects in an account.

Both kinds of class run here: a SimNodeClass asks for a zone and a type, an AWSNodeClass for images, subnets, security
groups and a role by the selectors of EC2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from stratos.apis.awsnodeclass import AWSNodeClass, AWSNodeClassSpec, KubeletSettings
from stratos.apis.meta import KubeObject
from stratos.apis.simnodeclass import SimNodeClass, SimNodeClassSpec
from stratos.base.errors import FieldProblem, Invalid
from stratos.catalog.catalog import Catalog
from stratos.providers.contract import (
    Disk,
    FailureReason,
    NodeClassPart,
    PartFailure,
    ResolvedNodeClass,
    SecurityGroup,
    Subnet,
)
from stratos.providers.contract.as_written import (
    ARCHITECTURES,
    architecture_conflict,
    as_written,
    existing_type,
    generated_profile,
)
from stratos.providers.simulated.account import Account, MachineImage, has_tags

BOOT_TIME = "boot-time"
START_TIME = "start-time"
"""Settings by which a SimNodeClass fixes how long its machines take, as durations."""
IMAGE_STREAMING = "image-streaming"
"""The setting of a SimNodeClass whose machines begin to use images while they are still being fetched."""

_USUAL_ARCH = "amd64"


def resolve_node_class(
    node_class: KubeObject, account: Account, catalog: Catalog, cluster_name: str, arch: str = ""
) -> ResolvedNodeClass:
    """What the class comes to, for machines of ``arch`` (empty: its own).

    Raises `Invalid` for kinds and instance types that are not had here.
    """
    if isinstance(node_class, AWSNodeClass):
        return _resolve_aws(node_class, _Lookup(account), catalog, cluster_name, arch)
    if isinstance(node_class, SimNodeClass):
        return _resolve_sim(node_class.spec, _Lookup(account), catalog, arch)
    raise Invalid(
        f"the simulated cloud does not run {node_class.kind or type(node_class).__name__}",
        problems=(FieldProblem("kind", "FieldValueNotSupported", "supported: AWSNodeClass, SimNodeClass"),),
        hint="use a SimNodeClass, or an AWSNodeClass",
    )


def _resolve_aws(
    node_class: AWSNodeClass, lookup: _Lookup, catalog: Catalog, cluster_name: str, arch: str
) -> ResolvedNodeClass:
    spec = node_class.spec
    written = as_written(node_class, catalog)
    conflict = "" if arch else architecture_conflict(node_class, catalog)
    return replace(
        written,
        image=lookup.conflict(conflict) if conflict else lookup.image(spec, arch or ARCHITECTURES[spec.architecture]),
        subnets=lookup.subnets(spec),
        security_groups=lookup.security_groups(spec),
        instance_profile=lookup.instance_profile(spec, generated_profile(cluster_name, node_class)),
        failures=tuple(lookup.failures),
        extra_script=spec.user_data or spec.custom_user_data or "",
    )


def _resolve_sim(spec: SimNodeClassSpec, lookup: _Lookup, catalog: Catalog, arch: str) -> ResolvedNodeClass:
    own = existing_type(spec.instance_type, "spec.instanceType", catalog) if spec.instance_type else None
    streaming = "true" if spec.image_streaming else None
    settings = {BOOT_TIME: spec.boot_time, START_TIME: spec.start_time, IMAGE_STREAMING: streaming}
    kubelet = spec.kubelet or KubeletSettings()
    return ResolvedNodeClass(
        instance_type=spec.instance_type or "",
        image=spec.image or lookup.recommended_image("AL2023", arch or (own.arch if own else _USUAL_ARCH)),
        subnets=lookup.subnets_in(spec.zones),
        failures=tuple(lookup.failures),
        disks=(Disk("/dev/xvda", spec.disk_size),),
        tags=spec.tags,
        node_labels=kubelet.node_labels,
        node_taints=kubelet.node_taints,
        max_pods=kubelet.max_pods,
        extra_script=spec.warmup_script or "",
        settings={key: value for key, value in settings.items() if value},
    )


class _Lookup:
    """Finds the parts one by one, and collects what was not found."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.failures: list[PartFailure] = []

    def conflict(self, message: str) -> str:
        """No image suits machines that contradict themselves."""
        return self._image_failed(FailureReason.RESOLUTION_FAILED, message)

    def image(self, spec: AWSNodeClassSpec, arch: str) -> str:
        if spec.ami:
            if any(image.id == spec.ami for image in self._account.images):
                return spec.ami
            return self._image_failed(FailureReason.INVALID_IMAGE, f"there is no image {spec.ami}")
        selector = spec.ami_selector
        if selector is None:
            return self.recommended_image(spec.bootstrap_template, arch)
        ours = self._account.id
        owners = (ours, "amazon") if selector.owner is None else (ours if selector.owner == "self" else selector.owner,)
        matching = (
            image
            for image in self._account.images
            if image.arch == arch
            and has_tags(image.tags, selector.tags)
            and (selector.name is None or fnmatchcase(image.name, selector.name))
            and image.owner in owners
        )
        wanted = f"{arch}, name {selector.name or '*'}, owner {' or '.join(owners)}, tags {dict(selector.tags)}"
        return self._newest(matching, wanted)

    def recommended_image(self, template: str, arch: str) -> str:
        matching = (image for image in self._account.images if image.arch == arch and image.recommended_for == template)
        return self._newest(matching, f"{arch}, recommended for {template}")

    def subnets(self, spec: AWSNodeClassSpec) -> tuple[Subnet, ...]:
        tags = spec.subnet_selector.tags if spec.subnet_selector else {}
        ids = spec.subnet_ids
        found = tuple(
            Subnet(subnet.id, subnet.zone)
            for subnet in self._account.subnets
            if (subnet.id in ids if ids else has_tags(subnet.tags, tags))
        )
        missing = sorted(set(ids or ()) - {subnet.id for subnet in found})
        if missing or not found:
            wanted = f"ids {', '.join(missing)}" if missing else f"tags {dict(tags)}"
            self._failed(NodeClassPart.SUBNETS, f"no subnet with {wanted}")
        return found

    def subnets_in(self, zones: tuple[str, ...]) -> tuple[Subnet, ...]:
        found = tuple(
            Subnet(subnet.id, subnet.zone) for subnet in self._account.subnets if not zones or subnet.zone in zones
        )
        missing = sorted(set(zones) - {subnet.zone for subnet in found})
        if missing or not found:
            have = ", ".join(sorted({subnet.zone for subnet in self._account.subnets}))
            self._failed(NodeClassPart.SUBNETS, f"no subnet in {', '.join(missing) or 'any zone'}; zones: {have}")
        return found

    def security_groups(self, spec: AWSNodeClassSpec) -> tuple[SecurityGroup, ...]:
        selector, ids = spec.security_group_selector, spec.security_group_ids
        tags, name = (selector.tags, selector.name) if selector else ({}, None)
        found = tuple(
            SecurityGroup(group.id, group.name)
            for group in self._account.security_groups
            if (group.id in ids if ids else has_tags(group.tags, tags) and name in (None, group.name))
        )
        missing = sorted(set(ids or ()) - {group.id for group in found})
        if missing or not found:
            wanted = f"ids {', '.join(missing)}" if missing else f"name {name or '*'}, tags {dict(tags)}"
            self._failed(NodeClassPart.SECURITY_GROUPS, f"no security group with {wanted}")
        return found

    def instance_profile(self, spec: AWSNodeClassSpec, generated: str) -> str:
        """The profile named, or the one that is generated for the role."""
        profile = spec.iam_instance_profile
        if profile and profile in self._account.missing_profiles:
            self._failed(NodeClassPart.INSTANCE_PROFILE, f"there is no instance profile {profile}")
        if spec.role and spec.role in self._account.missing_roles:
            message = f"there is no role {spec.role}"
            self._failed(NodeClassPart.INSTANCE_PROFILE, message, FailureReason.ROLE_NOT_FOUND)
        if spec.role:
            self._account.generated_profiles.add(generated)
        return profile or generated

    def _newest(self, images: Iterable[MachineImage], wanted: str) -> str:
        newest = max(images, key=lambda image: (image.created_at, image.id), default=None)
        if newest is None:
            return self._image_failed(FailureReason.NO_MATCHING_RESOURCES, f"no image matches: {wanted}")
        return newest.id

    def _image_failed(self, reason: FailureReason, message: str) -> str:
        self._failed(NodeClassPart.IMAGE, message, reason)
        return ""

    def _failed(
        self, part: NodeClassPart, message: str, reason: FailureReason = FailureReason.NO_MATCHING_RESOURCES
    ) -> None:
        self.failures.append(PartFailure(part, reason, message))
