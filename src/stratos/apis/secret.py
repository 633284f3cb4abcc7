"""Secrets: of them Stratos reads its own alone."""

from __future__ import annotations

from stratos.apis.meta import Kind, KubeObject


class Secret(KubeObject):
    type: str = ""
    data: dict[str, bytes] = {}

    @property
    def text(self) -> dict[str, str]:
        """The data as text; what is none is no PEM either, and is found wanting as such."""
        return {key: value.decode(errors="replace") for key, value in self.data.items()}


SECRET = Kind(group="", version="v1", plural="secrets", kind="Secret", namespaced=True, type=Secret)
