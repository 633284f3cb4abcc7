"""The instance profile of a class: one that is there, or one that is kept for its role while the class lives."""

from __future__ import annotations

from typing import Any

from stratos.apis.awsnodeclass import AWSNodeClass
from stratos.apis.labels import MANAGED_BY, TAG_CLUSTER, TAG_MANAGED_BY
from stratos.apis.meta import KubeObject
from stratos.base.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, QuotaExceeded
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.node_class.not_found import NotMatched, nothing_matches
from stratos.providers.contract import FailureReason
from stratos.providers.contract.as_written import generated_profile


async def keep_profile(clients: AwsClients, node_class: AWSNodeClass, cluster_name: str) -> str:
    """The profile's name. The one for a role is made, and given the role that the class names. Raises `NotMatched`."""
    spec = node_class.spec
    if spec.role is None:
        name = spec.iam_instance_profile or ""
        if await _profile(clients, name) is None:
            hint = "check spec.iamInstanceProfile, or name a role: then a profile is made for it"
            raise nothing_matches(f"there is no instance profile {name}", hint=hint)
        return name
    try:
        await clients.call("iam", "get_role", RoleName=spec.role)
    except NotFound as error:
        message = f"there is no role {spec.role}"
        hint = "create it, with the policies that nodes of the cluster need, or correct spec.role"
        raise NotMatched(FailureReason.ROLE_NOT_FOUND, message, hint=hint) from error
    name = generated_profile(cluster_name, node_class)
    profile = await _profile(clients, name) or await _create(clients, name, cluster_name)
    try:
        await _give_role(clients, name, spec.role, [role["RoleName"] for role in profile.get("Roles", ())])
    except (Conflict, Forbidden, Invalid, NotFound, QuotaExceeded) as error:
        message = f"instance profile {name} could not be given role {spec.role}: {error.message}"
        raise NotMatched(FailureReason.ROLE_UPDATE_FAILED, message, hint=error.hint) from error
    return name


async def release_node_class(clients: AwsClients, node_class: KubeObject, cluster_name: str) -> None:
    """Delete the profile that was made for the class, if there is one and it is ours."""
    if not isinstance(node_class, AWSNodeClass):
        return
    name = generated_profile(cluster_name, node_class)
    profile = await _profile(clients, name)
    tags = {tag["Key"]: tag["Value"] for tag in (profile or {}).get("Tags", ())}
    if profile is None or tags.get(TAG_MANAGED_BY) != MANAGED_BY:
        return
    try:
        for role in profile.get("Roles", ()):
            await _take_role(clients, name, role["RoleName"])
        await clients.call("iam", "delete_instance_profile", InstanceProfileName=name)
    except NotFound:
        return  # somebody else was faster


async def _profile(clients: AwsClients, name: str) -> dict[str, Any] | None:
    try:
        answer = await clients.call("iam", "get_instance_profile", InstanceProfileName=name)
    except NotFound:
        return None
    profile: dict[str, Any] = answer["InstanceProfile"]
    return profile


async def _create(clients: AwsClients, name: str, cluster_name: str) -> dict[str, Any]:
    tags = {TAG_MANAGED_BY: MANAGED_BY, TAG_CLUSTER: cluster_name}
    try:
        answer = await clients.call(
            "iam",
            "create_instance_profile",
            InstanceProfileName=name,
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
    except AlreadyExists:  # made by a call whose answer was lost
        return {}
    profile: dict[str, Any] = answer["InstanceProfile"]
    return profile


async def _give_role(clients: AwsClients, name: str, role: str, has: list[str]) -> None:
    """A profile holds one role: another one has to go first."""
    for other in has:
        if other != role:
            await _take_role(clients, name, other)
    if role not in has:
        await clients.call("iam", "add_role_to_instance_profile", InstanceProfileName=name, RoleName=role)


async def _take_role(clients: AwsClients, name: str, role: str) -> None:
    await clients.call("iam", "remove_role_from_instance_profile", InstanceProfileName=name, RoleName=role)
