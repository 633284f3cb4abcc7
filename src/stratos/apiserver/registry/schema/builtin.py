"""The shapes of the built-in kinds, from a data file that ``scripts/make_builtin_schemas.py`` distils.

The file is read when the first shape is asked for. It holds what decides (types, list keys, merge keys), not the
descriptions; defaults and rules of the built-in kinds live with the kinds, in ``registry.builtin``.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib.resources import files
from typing import Any

from stratos.apiserver.registry.schema.nodes import Definitions
from stratos.apiserver.registry.schema.schema import Schema
from stratos.base.errors import NotFound


@cache
def builtin_definitions() -> Definitions:
    """Every shape the built-in kinds are made of, by its public name."""
    return Definitions(_data()["definitions"], built_in=True)


@cache
def load_builtin_schema(group: str, version: str, kind: str) -> Schema:
    """The shape of a built-in kind; asking again gives the same one."""
    name = _data()["kinds"].get(f"{group}/{version}/{kind}")
    if name is None:
        raise NotFound(f"no built-in shape for {kind} in {f'{group}/{version}' if group else version}")
    return Schema({"$ref": name}, builtin_definitions())


@cache
def _data() -> dict[str, Any]:
    packed = files(__package__).joinpath("builtin.json.gz").read_bytes()
    loaded: dict[str, Any] = json.loads(gzip.decompress(packed))
    return loaded
