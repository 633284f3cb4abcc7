"""How machines find the cluster they are to join: as its operator says, else as far as it can be seen from here."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from stratos.apis.service import SERVICE
from stratos.base.errors import Invalid, StratosError
from stratos.kube.client import Client
from stratos.kube.kubeconfig import ClusterAccess as KubernetesAccess
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.telemetry.logs import get_logger

_USUAL_SERVICES = "10.100.0.0/16"  # of EKS, where the VPC is elsewhere
_SERVICE_NETWORK_BITS = 16

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClusterWords:
    """What the operator says. Empty: to be found."""

    name: str
    endpoint: str = ""  # https://…, as machines reach it
    certificate_authority: str = ""  # PEM, in base64
    service_cidr: str = ""


async def find_cluster_access(
    words: ClusterWords, client: Client, access: KubernetesAccess, environ: Mapping[str, str]
) -> ClusterAccess:
    """Raises `Invalid` when the API server's address is known only as pods reach it."""
    in_cluster = "KUBERNETES_SERVICE_HOST" in environ and environ["KUBERNETES_SERVICE_HOST"] in access.server
    endpoint = words.endpoint or ("" if in_cluster else access.server)
    if not endpoint:
        raise Invalid(
            "the address at which machines reach the API server is not known",
            looked_at=(f"{access.server} is an address for pods",),
            hint="--cluster-endpoint https://…, as in a kubeconfig of this cluster",
        )
    authority = words.certificate_authority or base64.b64encode(access.ca or b"").decode()
    cidr = words.service_cidr or await _service_cidr(client)
    try:
        ipaddress.ip_network(cidr)
    except ValueError as error:
        raise Invalid(f"--cluster-cidr: {cidr!r} is no network", hint="write it as 10.100.0.0/16") from error
    return ClusterAccess(words.name, endpoint, authority, cidr, await _kubernetes_version(client))


async def _service_cidr(client: Client) -> str:
    """The API server is the first service of its network, which is hardly ever smaller than the one guessed here."""
    try:
        service = await client.get(SERVICE, "default/kubernetes")
        first = ipaddress.ip_address(service.spec.cluster_ip)
        return str(ipaddress.ip_network(f"{first}/{_SERVICE_NETWORK_BITS}", strict=False))
    except (StratosError, ValueError) as error:
        log.warning("the network of services is not known", assumed=_USUAL_SERVICES, reason=str(error))
        return _USUAL_SERVICES


async def _kubernetes_version(client: Client) -> str:
    """``1.33``: some clouds put a plus after the minor version."""
    answer = await client.request_json("GET", "/version")
    major, minor = str(answer.get("major", "")), re.match(r"\d*", str(answer.get("minor", "")))
    return f"{major}.{minor[0]}" if major and minor and minor[0] else ""
