"""Shapes of objects, compiled once from structural OpenAPI v3 and then walked many times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Schema:
    """One compiled structural schema; ``source`` is the OpenAPI v3 document it came from, without references."""

    source: Mapping[str, Any]
