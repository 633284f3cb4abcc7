"""What runs on every node of a new cluster, before anybody adds anything.

In a cluster one looks at its DaemonSets. An estimate has no cluster, and takes these: the agents that EKS, GKE, AKS and
OKE put on the nodes of a cluster made with default settings, with the requests that ``kubectl describe node`` shows.
Only what they ask for is kept. The device plugins of GPU nodes ask for next to nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from stratos.apis.daemonset import DaemonSet, DaemonSetSpec
from stratos.apis.meta import ObjectMeta


class Agent(NamedTuple):
    name: str
    cpu: str
    memory: str = "0"


AGENTS: Mapping[str, tuple[Agent, ...]] = {
    "aws": (
        Agent("aws-node", "50m"),  # the network plugin and its policy agent, 25m each
        Agent("kube-proxy", "100m"),
    ),
    "azure": (
        Agent("azure-cns", "40m", "250Mi"),
        Agent("azure-ip-masq-agent", "100m", "50Mi"),
        Agent("cloud-node-manager", "50m", "50Mi"),
        Agent("csi-azuredisk-node", "30m", "60Mi"),
        Agent("csi-azurefile-node", "30m", "60Mi"),
        Agent("kube-proxy", "100m"),
    ),
    "gcp": (
        Agent("collector", "5m", "36Mi"),  # Managed Service for Prometheus
        Agent("fluentbit-gke", "105m", "230Mi"),
        Agent("gke-metrics-agent", "21m", "145Mi"),
        Agent("kube-proxy", "100m"),  # not a DaemonSet there, but as good as one on every node
        Agent("pdcsi-node", "10m", "20Mi"),
    ),
    # Oracle's agents are known by name; what they ask for is assumed to be what their like elsewhere do.
    "oci": (
        Agent("csi-oci-node", "30m", "70Mi"),
        Agent("kube-proxy", "100m"),
        Agent("proxymux-client", "50m", "64Mi"),
        Agent("vcn-native-ip-cni", "50m"),
    ),
}


def default_daemon_sets(cloud: str) -> tuple[DaemonSet, ...]:
    """Empty for a cloud that nobody knows."""
    return tuple(_daemon_set(agent) for agent in AGENTS.get(cloud, ()))


def _daemon_set(agent: Agent) -> DaemonSet:
    labels = {"app": agent.name}
    container = {"name": agent.name, "resources": {"requests": {"cpu": agent.cpu, "memory": agent.memory}}}
    pod = {"hostNetwork": True, "tolerations": [{"operator": "Exists"}], "containers": [container]}
    return DaemonSet(
        metadata=ObjectMeta(name=agent.name, namespace="kube-system"),
        spec=DaemonSetSpec(template={"metadata": {"labels": labels}, "spec": pod}),
    )
