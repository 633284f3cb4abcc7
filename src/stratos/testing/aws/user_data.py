"""What an instance makes of its user data at its first boot: the node it becomes, as its own software would see it.

It is read the way images read it (nodeadm, bootstrap.sh, Bottlerocket, cloud-init), from what was really sent: what is
wrong in generated user data shows on the node. Of the script that prepares a machine only the parameters are
understood; other scripts go to the host, which knows a few commands (see `stratos.agent.simulated_kubelet.hooks`).
"""

from __future__ import annotations

import base64
import email
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

import msgspec
import yaml

from stratos.apis.node import Taint
from stratos.providers.contract import Bootstrap, ImagePullPolicy

_HUB = ("docker.io/library/", "docker.io/")
_BOOTSTRAP_SCRIPT = "/etc/eks/bootstrap.sh"


@dataclass(slots=True)
class _Reading:
    cluster_name: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    taints: list[Taint] = field(default_factory=list)
    max_pods: int | None = None
    parameters: dict[str, list[str]] = field(default_factory=dict)  # of the script that prepares
    scripts: list[str] = field(default_factory=list)  # all others


def bootstrap_of(user_data: str) -> Bootstrap:
    """Of user data as EC2 keeps it, in base64."""
    reading = _Reading()
    for content_type, text in _parts(base64.b64decode(user_data).decode()):
        if content_type == "application/node.eks.aws":
            for document in yaml.safe_load_all(text):
                _read_node_config(document or {}, reading)
        elif "[settings" in text:
            _read_bottlerocket(tomllib.loads(text)["settings"]["kubernetes"], reading)
        else:
            _read_script(text, reading)
    said = reading.parameters
    return Bootstrap(
        cluster_name=reading.cluster_name,
        node_labels=reading.labels,
        node_taints=tuple(reading.taints),
        max_pods=reading.max_pods,
        images_to_pull=tuple(_short_name(image) for image in said.get("images", ())),
        images_to_try=tuple(_short_name(image) for image in said.get("images_to_try", ())),
        image_pull_policy=ImagePullPolicy(*said.get("pull_policy", [ImagePullPolicy.REQUIRED])),
        power_off_when_ready=said.get("turns_off") == ["yes"],
        extra_script="\n".join(reading.scripts),
    )


def _parts(text: str) -> Iterable[tuple[str, str]]:
    if not text.startswith(("MIME-Version", "Content-Type")):
        return [("", text)]
    parts = email.message_from_string(text).walk()
    return [(part.get_content_type(), _content(part)) for part in parts if not part.is_multipart()]


def _content(part: Message) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def _read_node_config(document: Mapping[str, Any], reading: _Reading) -> None:
    """A NodeConfig of nodeadm. Later ones add to earlier ones."""
    spec = document.get("spec", {})
    reading.cluster_name = spec.get("cluster", {}).get("name") or reading.cluster_name
    kubelet = spec.get("kubelet", {})
    reading.max_pods = kubelet.get("config", {}).get("maxPods", reading.max_pods)
    _read_flags(kubelet.get("flags", ()), reading)


def _read_bottlerocket(kubernetes: Mapping[str, Any], reading: _Reading) -> None:
    reading.cluster_name = kubernetes.get("cluster-name", "")
    reading.max_pods = kubernetes.get("max-pods")
    reading.labels |= kubernetes.get("node-labels", {})
    for key, values in kubernetes.get("node-taints", {}).items():
        reading.taints.extend(_taint(f"{key}={value}") for value in values)


def _read_script(text: str, reading: _Reading) -> None:
    if "stratos-prepare" in text:
        for line in text.splitlines():
            name, _, value = line.partition("=")
            if name.isidentifier():
                reading.parameters.setdefault(name, shlex.split(value.removeprefix("(").removesuffix(")")))
        return
    words = shlex.split(text, comments=True) if _BOOTSTRAP_SCRIPT in text else []
    if not words:
        reading.scripts.append(text)
        return
    at = words.index(_BOOTSTRAP_SCRIPT)
    reading.cluster_name = words[at + 1]
    options = dict(zip(words[at + 2 :: 2], words[at + 3 :: 2], strict=False))
    _read_flags(options.get("--kubelet-extra-args", "").split(), reading)


def _read_flags(flags: Iterable[str], reading: _Reading) -> None:
    for flag in flags:
        name, _, value = flag.partition("=")
        match name:
            case "--node-labels":
                reading.labels |= dict(label.split("=", 1) for label in value.split(","))
            case "--register-with-taints":
                reading.taints.extend(_taint(each) for each in value.split(","))
            case "--max-pods":
                reading.max_pods = int(value)
            case _:
                pass  # nothing that shows from outside


def _taint(said: str) -> Taint:
    """``key=value:Effect``, or without a value."""
    key, _, effect = said.rpartition(":")
    name, _, value = key.partition("=")
    return msgspec.convert({"key": name, "value": value, "effect": effect}, Taint)


def _short_name(image: str) -> str:
    """As people write it in pods: without what Docker would fill in."""
    for host in _HUB:
        image = image.removeprefix(host)
    return image.removesuffix(":latest")
