"""Kubeconfig files: everything a client needs to find the server, trust it and be known to it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml

from stratos.apiserver.auth.files import write_whole
from stratos.base.certificates import KeyPair


def kubeconfig(
    server: str,
    authority_pem: str,
    credentials: KeyPair | str,
    *,
    name: str = "stratos",
    user: str = "admin",
    namespace: str = "default",
) -> dict[str, Any]:
    """One cluster, one user, one context. ``credentials`` is a client certificate or a bearer token."""
    if isinstance(credentials, str):
        proof = {"token": credentials}
    else:
        proof = {
            "client-certificate-data": _encoded(credentials.certificate_pem),
            "client-key-data": _encoded(credentials.key_pem),
        }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": server, "certificate-authority-data": _encoded(authority_pem)}}
        ],
        "users": [{"name": user, "user": proof}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user, "namespace": namespace}}],
        "current-context": name,
    }


def write_kubeconfig(path: Path, config: dict[str, Any]) -> None:
    """Replace the file as a whole; it holds a key, so only its owner may read it."""
    write_whole(path, yaml.safe_dump(config, sort_keys=False), private=True)


def _encoded(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()
