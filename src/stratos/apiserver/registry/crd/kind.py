"""The kind CustomResourceDefinition itself, as the server serves it."""

from __future__ import annotations

from stratos.apiserver.registry.builtin.columns import CREATED_AT, NAME
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.crd.definition import (
    default_definition,
    validate_definition,
    validate_definition_update,
)
from stratos.apiserver.registry.resource import Resource


def definition_kind() -> Resource:
    """Kept apart from the other built-in kinds: it is what the custom ones are made from."""
    return kind(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        subresources=("status",),
        columns=(NAME, CREATED_AT),
        default=default_definition,
        validate=validate_definition,
        validate_update=validate_definition_update,
    )
