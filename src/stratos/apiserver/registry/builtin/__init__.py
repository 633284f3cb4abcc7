"""The kinds every Kubernetes server has: their names, columns, defaults and rules, one module per family."""

from __future__ import annotations

from stratos.apiserver.registry.resource import Resource


def builtin_resources() -> tuple[Resource, ...]:
    """Every built-in kind this server serves."""
    return ()
