"""AWSNodeClass: how EC2 launches the machines of a pool. The simulated cloud can launch from one, too."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from stratos.apis.fields import NonEmpty, described, rules
from stratos.apis.labels import GROUP
from stratos.apis.meta import Condition, Kind, KubeObject, Struct
from stratos.apis.node import Taint


class AMISelector(Struct):
    """Images that match all that is said; the newest wins."""

    tags: Annotated[dict[str, str], described("Tags the image must have, all of them.")] = {}
    name: Annotated[str | None, described("The image's name; * stands for any letters.")] = None
    owner: Annotated[
        str | None, described("self, amazon or an account id. Unset: self or amazon, since anybody may publish images.")
    ] = None


class SubnetSelector(Struct):
    """Subnets by their tags."""

    tags: Annotated[dict[str, str], described("Tags the subnet must have, all of them.")] = {}


class SecurityGroupSelector(Struct):
    """Security groups by tags or name."""

    tags: Annotated[dict[str, str], described("Tags the group must have, all of them.")] = {}
    name: Annotated[str | None, described("The group's name.")] = None


class MetadataOptions(Struct):
    """The instance metadata service."""

    http_tokens: Literal["required", "optional"] | None = None
    http_put_response_hop_limit: Annotated[int, msgspec.Meta(ge=1, le=64)] | None = None
    http_endpoint: Literal["enabled", "disabled"] | None = None


class KubeletSettings(Struct):
    """What the kubelet is started with."""

    max_pods: Annotated[int, msgspec.Meta(ge=1)] | None = None
    node_labels: dict[str, str] = {}
    node_taints: tuple[Taint, ...] = ()
    extra_args: Annotated[
        dict[str, str],
        described("Further flags of the kubelet, without their dashes. Not for Bottlerocket, which takes settings."),
    ] = {}


class BlockDeviceMapping(Struct):
    """One volume of the machine."""

    device_name: NonEmpty
    volume_size: Annotated[int, described("GiB.", ge=1)]
    volume_type: str | None = None
    encrypted: bool | None = None
    iops: Annotated[int, msgspec.Meta(ge=1)] | None = None
    throughput: Annotated[int, described("MiB per second.", ge=1)] | None = None
    snapshot_id: Annotated[
        NonEmpty | None,
        described("What is on it from the start: for Bottlerocket's /dev/xvdb, images that need not be pulled."),
    ] = msgspec.field(default=None, name="snapshotID")


class SpotConfig(Struct):
    """How spot machines are asked for."""

    instance_types: Annotated[tuple[NonEmpty, ...], described("The types to spread over.", min_length=1)]
    allocation_strategy: str = "price-capacity-optimized"
    max_price: Annotated[str, described("US dollars per hour; empty caps at the on-demand price.")] = ""


class AWSNodeClassSpec(Struct):
    instance_type: Annotated[
        NonEmpty | None, described("The on-demand type of a pool's machines. Node templates need none: they choose.")
    ] = None
    bootstrap_template: Annotated[
        Literal["AL2023", "AL2", "Bottlerocket"],
        described("Which flavour of user data is generated. G0 and G1 do not say."),
    ] = "AL2023"
    region: Annotated[str | None, described("The region; unset: the controller's own.")] = None
    architecture: Annotated[Literal["x86_64", "arm64"], described("The machines' architecture.")] = "x86_64"
    ami: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^ami-[0-9a-z]+$")] | None, described("G1: the image, by its id.")
    ] = None
    ami_selector: Annotated[
        AMISelector | None, described("The image, by what it is like. Without it, the recommended one is used.")
    ] = None
    subnet_ids: Annotated[
        Annotated[tuple[NonEmpty, ...], msgspec.Meta(min_length=1)] | None,
        described("The subnets; launches take turns through them."),
    ] = None
    subnet_selector: Annotated[SubnetSelector | None, described("The subnets, by what they are like.")] = None
    security_group_ids: Annotated[
        Annotated[tuple[NonEmpty, ...], msgspec.Meta(min_length=1)] | None, described("The security groups.")
    ] = None
    security_group_selector: Annotated[
        SecurityGroupSelector | None, described("The security groups, by what they are like.")
    ] = None
    iam_instance_profile: Annotated[str | None, described("The instance profile.")] = None
    role: Annotated[str | None, described("A role; an instance profile is made for it.")] = None
    metadata_options: MetadataOptions | None = None
    kubelet: KubeletSettings | None = None
    custom_user_data: Annotated[str | None, described("Run in addition to the template.")] = None
    user_data: Annotated[str | None, described("G1: replaces what the template would generate.")] = None
    user_data_type: Annotated[
        Literal["Raw", "Template"],
        described("How userData is meant: as it is, or as a Go template over .Labels, .Taints and .MaxPods."),
    ] = "Raw"
    block_device_mappings: tuple[BlockDeviceMapping, ...] = ()
    tags: Annotated[dict[str, str], described("Tags of the machines.")] = {}
    spot_config: SpotConfig | None = None
    hibernation: Annotated[
        bool, described("Stop with the memory kept on the first volume. Type and image must be able to.")
    ] = False


class ResolvedSubnet(Struct):
    id: str
    zone: str = ""


class ResolvedSecurityGroup(Struct):
    id: str
    name: str = ""


class NodeClassStatus(Struct):
    """What a class's selectors were found to mean."""

    conditions: tuple[Condition, ...] = ()
    observed_generation: int | None = None
    node_pool_count: int | None = None
    resolved_ami: str | None = msgspec.field(default=None, name="resolvedAMI")
    resolved_subnets: tuple[ResolvedSubnet, ...] = ()
    resolved_security_groups: tuple[ResolvedSecurityGroup, ...] = ()
    resolved_instance_profile: str | None = None
    resolved_launch_template_id: Annotated[
        str | None,
        described("Accepted, never set: templates are named by what is in them, and made when a fleet needs one."),
    ] = msgspec.field(default=None, name="resolvedLaunchTemplateID")


def _one_of(first: str, second: str) -> tuple[str, str]:
    return (f"has(self.{first}) != has(self.{second})", f"exactly one of {first} and {second} is needed")


class AWSNodeClass(KubeObject, kw_only=True):
    spec: Annotated[
        AWSNodeClassSpec,
        rules(
            _one_of("subnetIds", "subnetSelector"),
            _one_of("securityGroupIds", "securityGroupSelector"),
            _one_of("iamInstanceProfile", "role"),
            ("!(has(self.ami) && has(self.amiSelector))", "ami and amiSelector exclude each other"),
            ("!(has(self.userData) && has(self.customUserData))", "userData and customUserData exclude each other"),
            ("self.userDataType != 'Template' || has(self.userData)", "userDataType Template needs userData"),
            (
                "!self.hibernation || (has(self.blockDeviceMappings) && self.blockDeviceMappings.size() > 0"
                " && has(self.blockDeviceMappings[0].encrypted) && self.blockDeviceMappings[0].encrypted)",
                "hibernation needs blockDeviceMappings whose first volume is encrypted: the memory is kept on it",
            ),
        ),
    ]
    status: NodeClassStatus = NodeClassStatus()


AWS_NODE_CLASS = Kind(
    group=GROUP, version="v1alpha1", plural="awsnodeclasses", kind="AWSNodeClass", namespaced=False, type=AWSNodeClass
)
