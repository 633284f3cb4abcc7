"""Shapes of objects: structural OpenAPI v3, compiled once and then walked many times.

`Schema` validates, defaults and prunes; `load_builtin_schema` finds the shape of a built-in kind. What a kind demands
beyond its shape (immutable fields, references that must match) is the kind's own affair.
"""

from stratos.apiserver.registry.schema.builtin import builtin_definitions, load_builtin_schema
from stratos.apiserver.registry.schema.nodes import ANYTHING, Node
from stratos.apiserver.registry.schema.schema import Schema

__all__ = ["ANYTHING", "Node", "Schema", "builtin_definitions", "load_builtin_schema"]
