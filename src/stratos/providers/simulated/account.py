"""What node classes select from: the images, subnets, security groups and roles of one account in one region.

Everything is a plain list that tests change as they like. The default account has what an ordinary cluster finds in a
real one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from stratos.catalog.catalog import Catalog


@dataclass(frozen=True, slots=True)
class MachineImage:
    id: str
    name: str
    owner: str  # an account's id, or amazon
    arch: str  # amd64 or arm64
    created_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    recommended_for: str = ""  # the bootstrap template that takes it by default


@dataclass(frozen=True, slots=True)
class TaggedSubnet:
    id: str
    zone: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaggedSecurityGroup:
    id: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Account:
    id: str
    images: list[MachineImage]
    subnets: list[TaggedSubnet]
    security_groups: list[TaggedSecurityGroup]
    snapshots: dict[str, Mapping[str, int]] = field(default_factory=dict)  # of volumes: container images, with bytes
    generated_profiles: set[str] = field(default_factory=set)  # of instances, made for roles
    missing_roles: set[str] = field(default_factory=set)  # every other role exists
    missing_profiles: set[str] = field(default_factory=set)  # every other instance profile exists


def has_tags(tags: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(tags.get(key) == value for key, value in wanted.items())


def default_account(catalog: Catalog, discovery: str = "my-cluster") -> Account:
    """An account with a subnet in every zone, two security groups and the usual images.

    Subnets and groups carry the tag ``stratos.sh/discovery`` with the value of ``discovery``.
    """
    tags = {"stratos.sh/discovery": discovery}
    return Account(
        id="111122223333",
        images=list(_usual_images()),
        subnets=[TaggedSubnet(f"subnet-{zone}", zone, tags) for zone in catalog.zones],
        security_groups=[
            TaggedSecurityGroup("sg-nodes", f"{discovery}-nodes", tags),
            TaggedSecurityGroup("sg-cluster", f"{discovery}-cluster", tags),
        ],
    )


def _usual_images() -> Iterable[MachineImage]:
    """Two releases of each, so that there is a newest to choose."""
    for released in (datetime(2025, 11, 12, tzinfo=UTC), datetime(2025, 12, 17, tzinfo=UTC)):
        stamp = f"{released:%Y%m%d}"
        for arch, theirs in (("amd64", "x86_64"), ("arm64", "arm64")):
            names = {
                "AL2023": f"amazon-eks-node-al2023-{theirs}-standard-1.32-v{stamp}",
                "AL2": f"amazon-eks-{'node' if arch == 'amd64' else 'arm64-node'}-1.32-v{stamp}",
                "Bottlerocket": f"bottlerocket-aws-k8s-1.32-{theirs}-v{stamp}",
            }
            for template, name in names.items():
                image_id = f"ami-{template.lower()}{arch}{stamp}"
                yield MachineImage(image_id, name, "amazon", arch, released, recommended_for=template)
        yield MachineImage(f"ami-gpu{stamp}", f"amazon-eks-gpu-node-1.32-v{stamp}", "amazon", "amd64", released)
