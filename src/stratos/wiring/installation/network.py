"""Who may speak with the pods of Stratos, and with whom they speak."""

from __future__ import annotations

from typing import Any

from stratos.wiring.installation.agents import DOORMAN
from stratos.wiring.installation.controller import COMPONENT
from stratos.wiring.installation.pods import metadata, selector

Obj = dict[str, Any]

_METADATA = ("169.254.169.254/32", "169.254.170.23/32")  # of the machine, and of the account it runs under


def policies() -> list[Obj]:
    """The agent is on its host's network, which no policy reaches."""
    return [_controller(), _doorman()]


def _controller() -> Obj:
    """Webhooks are called from wherever the API server is, which nobody can tell from within."""
    to_names: Obj = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    to_apis: Obj = {"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]}
    to_metadata: Obj = {
        "to": [{"ipBlock": {"cidr": block}} for block in _METADATA],
        "ports": [{"port": 80, "protocol": "TCP"}],
    }
    return _policy(
        "stratos-controller",
        COMPONENT,
        {
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [{"port": "webhook", "protocol": "TCP"}, {"port": "metrics", "protocol": "TCP"}]}],
            "egress": [to_names, to_apis, to_metadata],
        },
    )


def _doorman() -> Obj:
    """It forwards to any port of any pod: only who comes in can be told."""
    ports = [{"port": "http", "protocol": "TCP"}, {"port": "metrics", "protocol": "TCP"}]
    return _policy("stratos-doorman", DOORMAN, {"policyTypes": ["Ingress"], "ingress": [{"ports": ports}]})


def _policy(name: str, component: str, spec: Obj) -> Obj:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name, component),
        "spec": {"podSelector": {"matchLabels": selector(component)}, **spec},
    }
