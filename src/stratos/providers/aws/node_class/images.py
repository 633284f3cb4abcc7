"""The machine image of a class: by its id, by what it is like, or the one that AWS recommends."""

from __future__ import annotations

from typing import Any

from stratos.apis.awsnodeclass import AMISelector, AWSNodeClassSpec
from stratos.base.errors import Invalid, NotFound
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.node_class.not_found import NotMatched, in_words, nothing_matches, tag_filters
from stratos.providers.aws.settings import BootstrapTemplate
from stratos.providers.contract import FailureReason
from stratos.providers.contract.as_written import ARCHITECTURES

_EC2_NAMES = {kubernetes: ec2 for ec2, kubernetes in ARCHITECTURES.items()}
_TRUSTED = ("self", "amazon")  # anybody may publish an image, under any name


async def find_image(
    clients: AwsClients, spec: AWSNodeClassSpec, arch: str, gpu: str, cluster: ClusterAccess, conflict: str
) -> str:
    """The image's id. Raises `NotMatched`."""
    if conflict:
        raise NotMatched(FailureReason.RESOLUTION_FAILED, conflict, hint="let one of the two follow the other")
    if spec.ami:
        return await _by_id(clients, spec.ami, _EC2_NAMES[arch])
    if spec.ami_selector:
        return await _newest(clients, spec.ami_selector, _EC2_NAMES[arch])
    return await _recommended(clients, spec.bootstrap_template, arch, gpu, cluster.kubernetes_version)


async def _by_id(clients: AwsClients, image_id: str, architecture: str) -> str:
    try:
        found = await clients.pages("ec2", "describe_images", "Images", ImageIds=[image_id])
    except Invalid:  # how EC2 says that it does not know the id
        found = []
    if not found:
        hint = "check spec.ami and its region; of another account's image, that it is shared with this one"
        raise _invalid_image(f"there is no image {image_id} in {clients.region}", hint)
    image = found[0]
    if image["State"] != "available":
        raise _invalid_image(f"image {image_id} is {image['State']}", "wait until it is available, or choose another")
    if image["Architecture"] != architecture:
        message = f"image {image_id} is made for {image['Architecture']}, and the machines are {architecture}"
        raise _invalid_image(message, "choose another, or leave the image out: then each gets the recommended one")
    return image_id


async def _newest(clients: AwsClients, selector: AMISelector, architecture: str) -> str:
    if not selector.tags and not selector.name:
        raise nothing_matches("spec.amiSelector says nothing to select by", hint="name tags, or a name")
    filters: list[dict[str, Any]] = [
        {"Name": "state", "Values": ["available"]},
        {"Name": "architecture", "Values": [architecture]},
        *tag_filters(selector.tags),
    ]
    if selector.name:
        filters.append({"Name": "name", "Values": [selector.name]})
    owners = [selector.owner] if selector.owner else list(_TRUSTED)
    found = await clients.pages("ec2", "describe_images", "Images", Filters=filters, Owners=owners)
    if not found:
        wanted = [f"name {selector.name}"] if selector.name else []
        wanted += [in_words(selector.tags)] if selector.tags else []
        wanted += [f"for {architecture}", f"of {' or '.join(owners)}"]
        hint = "set spec.amiSelector.owner for images of other accounts" if not selector.owner else _CHECK_SELECTOR
        raise nothing_matches(f"no image is available in {clients.region} with {', '.join(wanted)}", hint=hint)
    newest = max(found, key=lambda image: (image["CreationDate"], image["ImageId"]))
    return str(newest["ImageId"])


_CHECK_SELECTOR = "check spec.amiSelector, and that the image is in this region"


async def _recommended(clients: AwsClients, template: BootstrapTemplate, arch: str, gpu: str, kubernetes: str) -> str:
    if not kubernetes:
        message = "images are recommended by version of Kubernetes, and the cluster's is not known"
        raise NotMatched(FailureReason.RESOLUTION_FAILED, message, hint="name an image: spec.ami or spec.amiSelector")
    path = _parameter(template, arch, gpu, kubernetes)
    try:
        answer = await clients.call("ssm", "get_parameter", Name=path)
    except NotFound as error:
        machines = f"{arch} machines" + (f" with GPUs of {gpu}" if gpu else "")
        raise nothing_matches(
            f"AWS recommends no {template} image for Kubernetes {kubernetes} on {machines} in {clients.region}"
            f" (parameter {path})",
            hint="choose another spec.bootstrapTemplate, or name an image: spec.ami or spec.amiSelector",
        ) from error
    return str(answer["Parameter"]["Value"])


def _parameter(template: BootstrapTemplate, arch: str, gpu: str, kubernetes: str) -> str:
    """Where AWS publishes the image. For other GPUs than these, images bring no drivers: the usual one has to do."""
    ec2_arch, nvidia = _EC2_NAMES[arch], gpu == "nvidia"
    if template == "Bottlerocket":
        return f"/aws/service/bottlerocket/aws-k8s-{kubernetes}{'-nvidia' if nvidia else ''}/{ec2_arch}/latest/image_id"
    if template == "AL2023":
        kind = f"amazon-linux-2023/{ec2_arch}/{'nvidia' if nvidia else 'standard'}"
    else:
        kind = "amazon-linux-2" + ("-gpu" if nvidia else "-arm64" if arch == "arm64" else "")
    return f"/aws/service/eks/optimized-ami/{kubernetes}/{kind}/recommended/image_id"


def _invalid_image(message: str, hint: str) -> NotMatched:
    return NotMatched(FailureReason.INVALID_IMAGE, message, hint=hint)
