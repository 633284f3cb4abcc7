"""How machines find the cluster they are to join: as its operator or the cloud says, else as it is seen from here."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from stratos.apis.service import SERVICE
from stratos.base.errors import Invalid, StratosError
from stratos.kube.client import Client
from stratos.kube.kubeconfig import ClusterAccess as KubernetesAccess
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.telemetry.logs import get_logger

_USUAL_SERVICES = "10.100.0.0/16"  # of EKS, where the VPC is elsewhere
_SERVICE_NETWORK_BITS = 16
_NAME = re.compile(r"[0-9A-Za-z][-._0-9A-Za-z]{0,99}")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClusterWords:
    """What the operator says. Empty: to be found."""

    name: str
    endpoint: str = ""  # https://…, as machines reach it
    certificate_authority: str = ""  # PEM, in base64
    service_cidr: str = ""


def check_cluster_name(name: str, where: str, example: str) -> None:
    """Raises `Invalid` unless clouds take it as a part of names and tags. ``where`` it is said, and an ``example``."""
    if not name:
        raise Invalid(f"{where} is not set", hint=f"{example}: machines in the cloud are told from others by that name")
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{where}: {name!r} is no name for a cluster",
            hint=f"letters, digits, dots, dashes and underscores, 100 of them at most: {example}",
        )


async def find_cluster_access(
    words: ClusterWords,
    client: Client,
    access: KubernetesAccess,
    environ: Mapping[str, str],
    ask_cloud: Callable[[], Awaitable[ClusterAccess]],
) -> ClusterAccess:
    """What the operator says; else, where this runs in the cluster, what the cloud says of it; else what is seen here.

    Raises `Invalid` when the API server's address is known only as pods reach it.
    """
    service_host = environ.get("KUBERNETES_SERVICE_HOST", "")
    in_cluster = bool(service_host) and service_host in access.server
    if in_cluster and not words.endpoint:
        try:
            told = await ask_cloud()
        except StratosError as error:
            raise Invalid(
                "the address at which machines reach the API server is not known",
                looked_at=(f"{access.server} is an address for pods", error.message),
                hint="--cluster-endpoint https://…, as in a kubeconfig of this cluster",
            ) from error
        return replace(
            told,
            certificate_authority=words.certificate_authority or told.certificate_authority,
            service_cidr=words.service_cidr or told.service_cidr,
        )
    endpoint = words.endpoint or access.server
    authority = words.certificate_authority or base64.b64encode(access.ca or b"").decode()
    cidr = words.service_cidr or await _service_cidr(client, service_host if in_cluster else "")
    try:
        ipaddress.ip_network(cidr)
    except ValueError as error:
        raise Invalid(f"--cluster-cidr: {cidr!r} is no network", hint="write it as 10.100.0.0/16") from error
    return ClusterAccess(words.name, endpoint, authority, cidr, await _kubernetes_version(client))


async def _service_cidr(client: Client, known_service: str) -> str:
    """The API server is the first service of its network, which is hardly ever smaller than the one guessed here."""
    try:
        address = known_service or (await client.get(SERVICE, "default/kubernetes")).spec.cluster_ip
        first = ipaddress.ip_address(address)
    except (StratosError, ValueError) as error:
        log.warning("the network of services is not known", assumed=_USUAL_SERVICES, reason=str(error))
        return _USUAL_SERVICES
    return str(ipaddress.ip_network(f"{first}/{_SERVICE_NETWORK_BITS}", strict=False))


async def _kubernetes_version(client: Client) -> str:
    """``1.33``: some clouds put a plus after the minor version."""
    answer = await client.request_json("GET", "/version")
    major, minor = str(answer.get("major", "")), re.match(r"\d*", str(answer.get("minor", "")))
    return f"{major}.{minor[0]}" if major and minor and minor[0] else ""
