"""Secrets: of them Stratos reads its own alone."""

from __future__ import annotations

from stratos.apis.meta import Kind, KubeObject


class Secret(KubeObject):
    type: str = ""
    data: dict[str, bytes] = {}


SECRET = Kind(group="", version="v1", plural="secrets", kind="Secret", namespaced=True, type=Secret)
