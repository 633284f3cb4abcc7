"""The script that prepares a machine on its first boot: it pulls images, says so on the node, and may turn it off.

What it does is in ``prepare.sh``; here it gets its parameters. It speaks to the API server as the kubelet does, with
the machine's own role, and needs no rights beyond those that every node has: a node may write its own status.
"""

from __future__ import annotations

import shlex
from importlib import resources

from stratos.apis.labels import IMAGES_PULLED_CONDITION
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.contract import Bootstrap

_CONTAINERD_SOCKET = "/run/containerd/containerd.sock"


def prepare_script(bootstrap: Bootstrap, cluster: ClusterAccess, region: str) -> str:
    """Empty when there is nothing to prepare."""
    pulls = bool(bootstrap.images_to_pull or bootstrap.images_to_try)
    if not pulls and not bootstrap.power_off_when_ready:
        return ""
    parameters = {
        "cluster": cluster.name,
        "endpoint": cluster.endpoint,
        "region": region,
        "condition": IMAGES_PULLED_CONDITION,
        "containerd": _CONTAINERD_SOCKET,
        "pull_policy": bootstrap.image_pull_policy.value,
        "pulls": "yes" if pulls else "no",
        "turns_off": "yes" if bootstrap.power_off_when_ready else "no",
    }
    lines = ["#!/bin/bash", *(f"{name}={shlex.quote(value)}" for name, value in parameters.items())]
    for name, images in (("images", bootstrap.images_to_pull), ("images_to_try", bootstrap.images_to_try)):
        lines.append(f"{name}=({' '.join(shlex.quote(full_name(image)) for image in images)})")
    script = resources.files(__package__).joinpath("prepare.sh").read_text(encoding="utf-8")
    return "\n".join(lines) + "\n" + script


def full_name(image: str) -> str:
    """With registry and tag, as containerd wants it: people leave out what Docker would have filled in."""
    host, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif host != "localhost" and "." not in host and ":" not in host:
        image = f"docker.io/{image}"
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"
