"""What ``kubectl get`` prints of our own kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stratos.apis.crds import CUSTOM_KINDS, CustomKind, custom_resource_definition
from stratos.apis.nodeclaim import NODE_CLAIM

_GIVEN = ".metadata."  # every object has those, whatever its kind


def _steps(json_path: str) -> Iterator[str]:
    """The fields on the way; a choice among items is a step into them."""
    yield from json_path.removeprefix(".").split("[")[0].split(".")


@pytest.mark.parametrize("custom", CUSTOM_KINDS, ids=lambda custom: custom.kind.kind)
def test_every_column_shows_a_field_that_there_is(custom: CustomKind) -> None:
    """A column whose path leads nowhere stays empty, and nobody is told why."""
    (version,) = custom_resource_definition(custom)["spec"]["versions"]
    for column in version["additionalPrinterColumns"]:
        if column["jsonPath"].startswith(_GIVEN):
            continue
        schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
        for step in _steps(column["jsonPath"]):
            assert step in schema["properties"], column
            schema = schema["properties"][step]


def test_claims_are_listed_with_the_terms_that_their_machines_are_sold_under() -> None:
    """Whether a machine may be taken back at any time is half of what its price says."""
    (claims,) = (custom for custom in CUSTOM_KINDS if custom.kind is NODE_CLAIM)

    shown = {column.name: column.json_path for column in claims.columns if column.priority == 0}
    assert shown["Terms"] == ".spec.capacityType"
