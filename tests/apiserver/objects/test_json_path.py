"""The JSON paths of printer columns and scale subresources."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apiserver.registry.crd import JsonPath
from stratos.base.errors import Invalid

OBJECT: dict[str, Any] = {
    "spec": {"replicas": 3, "names": ["a", "b"]},
    "metadata": {"annotations": {"example.com/x": "y"}},
    "status": {
        "conditions": [
            {"type": "Synced", "status": "False", "age": 5},
            {"type": "Ready", "status": "True", "age": 9, "detail": {"code": 1}},
        ]
    },
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.replicas", [3]),
        (".spec.missing", []),
        (".spec.replicas.deeper", []),
        (".spec.names[0]", ["a"]),
        (".spec.names[-1]", ["b"]),
        (".spec.names[7]", []),
        (".spec.names[*]", ["a", "b"]),
        (r".metadata.annotations.example\.com/x", ["y"]),
        (".metadata.annotations['example.com/x']", ["y"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type=='Ready')].status", ["True"]),
        ('.status.conditions[?( @.type != "Ready" )].type', ["Synced"]),
        (".status.conditions[?(@.age>5)].type", ["Ready"]),
        (".status.conditions[?(@.age<=5)].type", ["Synced"]),
        (".status.conditions[?(@.detail.code==1)].type", ["Ready"]),
        ('.status.conditions[?(@.type=="Gone")].status', []),
        (".status.conditions[?(@.type>3)].status", []),
        (".spec.*", [3, ["a", "b"]]),
    ],
)
def test_a_path_finds_what_it_says(path: str, found: list[Any]) -> None:
    """Every form that definitions in the field use."""
    assert JsonPath(path).find(OBJECT) == found


@pytest.mark.parametrize(
    "path", ["", "spec", ".", ".spec.", ".spec[", ".spec[x]", ".a[?(@.b)]", ".a[?(@.b==x)]", "..a", ".a b", "{.spec}"]
)
def test_a_path_that_does_not_read_is_refused(path: str) -> None:
    """When the definition is written, not when somebody first lists the objects."""
    with pytest.raises(Invalid, match="JSON path"):
        JsonPath(path)


@given(st.lists(st.from_regex(r"[a-z][A-Za-z0-9-]{0,5}", fullmatch=True), min_size=1, max_size=4), st.integers())
def test_a_path_of_fields_knows_its_fields_and_leads_to_the_value(fields: list[str], value: int) -> None:
    """Scale subresources write through such paths, so they must be exact."""
    path = JsonPath("." + ".".join(fields))
    document: Any = value
    for field in reversed(fields):
        document = {field: document}

    assert path.fields == tuple(fields)
    assert path.first(document) == value
