"""JSON merge patch, by the standard's own examples and by its laws."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apiserver.registry.patching import merge_patch

scalars = st.booleans() | st.integers(-5, 5) | st.text(max_size=3)
without_null = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
)
patches = st.recursive(
    scalars | st.none(), lambda inner: st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
)


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_the_standard(document: Any, patch: Any, expected: Any) -> None:
    """RFC 7386, appendix A."""
    before = json.dumps(document)

    assert merge_patch(document, patch) == expected
    assert json.dumps(document) == before


@given(without_null, patches)
def test_merging_twice_is_merging_once(document: Any, patch: Any) -> None:
    """A client that is not sure whether its patch arrived may send it again."""
    once = merge_patch(document, patch)

    assert merge_patch(once, patch) == once


@given(st.dictionaries(st.text("abc", max_size=2), without_null, max_size=3), without_null)
def test_an_object_without_nulls_merges_into_an_empty_one_as_itself(obj: dict[str, Any], other: Any) -> None:
    """A patch of everything is the thing."""
    assert merge_patch({}, obj) == obj
    assert merge_patch(merge_patch({}, {"x": other}), {"x": None}) == {}
