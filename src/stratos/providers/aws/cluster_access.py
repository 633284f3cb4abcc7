"""How machines find the cluster that they are to join."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

_DNS_ADDRESS = 10  # of the service network, by the custom of EKS


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    name: str
    endpoint: str  # https://…
    certificate_authority: str  # PEM, in base64
    service_cidr: str
    kubernetes_version: str = ""  # 1.33; recommended images are published by it

    @property
    def dns_address(self) -> str:
        """Where pods look up names."""
        return str(ipaddress.ip_network(self.service_cidr)[_DNS_ADDRESS])
