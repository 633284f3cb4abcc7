"""Custom kinds: from a CustomResourceDefinition, as a plain object, to the kinds the server can serve.

Nothing here is stored or served; that is the registry's affair. A definition is judged (`validate_definition`), filled
in (`default_definition`) and turned into one `Resource` per served version (`resources_from_crd`).
"""

from stratos.apiserver.registry.crd.definition import (
    default_definition,
    validate_definition,
    validate_definition_update,
)
from stratos.apiserver.registry.crd.json_path import JsonPath
from stratos.apiserver.registry.crd.kind import definition_kind
from stratos.apiserver.registry.crd.resources import convert, resources_from_crd

__all__ = [
    "JsonPath",
    "convert",
    "default_definition",
    "definition_kind",
    "resources_from_crd",
    "validate_definition",
    "validate_definition_update",
]
