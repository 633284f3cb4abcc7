"""User data of Amazon Linux: 2023 is configured by nodeadm, 2 by a script that the image brings."""

from __future__ import annotations

import shlex
from typing import Any

import yaml

from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.settings import AwsSettings
from stratos.providers.aws.user_data.kubelet import kubelet_flags
from stratos.providers.contract import Bootstrap


def node_config(bootstrap: Bootstrap, settings: AwsSettings, cluster: ClusterAccess) -> str:
    """What nodeadm reads, as YAML."""
    kubelet: dict[str, Any] = {}
    if bootstrap.max_pods is not None:
        kubelet["config"] = {"maxPods": bootstrap.max_pods}
    flags = kubelet_flags(bootstrap, settings)
    if flags:
        kubelet["flags"] = flags
    spec: dict[str, Any] = {
        "cluster": {
            "name": cluster.name,
            "apiServerEndpoint": cluster.endpoint,
            "certificateAuthority": cluster.certificate_authority,
            "cidr": cluster.service_cidr,
        }
    }
    if kubelet:
        spec["kubelet"] = kubelet
    config = {"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": spec}
    return yaml.safe_dump(config, sort_keys=False, width=10**6)


def bootstrap_script(bootstrap: Bootstrap, settings: AwsSettings, cluster: ClusterAccess) -> str:
    """A call of the script that joins an Amazon Linux 2 machine to its cluster."""
    flags = kubelet_flags(bootstrap, settings)
    options = [
        ("--apiserver-endpoint", cluster.endpoint),
        ("--b64-cluster-ca", cluster.certificate_authority),
        ("--dns-cluster-ip", cluster.dns_address),
    ]
    if bootstrap.max_pods is not None:
        options.append(("--use-max-pods", "false"))
        flags.append(f"--max-pods={bootstrap.max_pods}")
    if flags:
        options.append(("--kubelet-extra-args", " ".join(flags)))
    arguments = " ".join(f"{option} {shlex.quote(value)}" for option, value in options)
    return f"#!/bin/bash\nset -e\n/etc/eks/bootstrap.sh {shlex.quote(cluster.name)} {arguments}\n"
