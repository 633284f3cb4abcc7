"""JSON patch: every operation, and every way it can go wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apiserver.registry.patching import MalformedPatch, PatchFailed, json_patch

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@pytest.mark.parametrize(
    ("document", "operations", "expected"),
    [
        ({}, [{"op": "add", "path": "/a", "value": 1}], {"a": 1}),
        ({"a": 1}, [{"op": "add", "path": "/a", "value": 2}], {"a": 2}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2]}),
        ({"a": 1}, [{"op": "add", "path": "", "value": {"b": 2}}], {"b": 2}),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
        ({"a": [1, 2, 3]}, [{"op": "remove", "path": "/a/1"}], {"a": [1, 3]}),
        ({"a": 1}, [{"op": "replace", "path": "/a", "value": None}], {"a": None}),
        ({"a": [1, 2]}, [{"op": "replace", "path": "/a/1", "value": 3}], {"a": [1, 3]}),
        ({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": "/c"}], {"a": {}, "c": 1}),
        ({"a": [1, 2, 3]}, [{"op": "move", "from": "/a/0", "path": "/a/2"}], {"a": [2, 3, 1]}),
        ({"a": 1}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": 1}),
        ({"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": "/a/c"}], {"a": {"b": 1, "c": {"b": 1}}}),
        ({"a/b": {"c~d": 1}}, [{"op": "replace", "path": "/a~1b/c~0d", "value": 2}], {"a/b": {"c~d": 2}}),
        ({"": 1}, [{"op": "remove", "path": "/"}], {}),
        ({"a": {"x": 1, "y": 2}}, [{"op": "test", "path": "/a", "value": {"y": 2, "x": 1}}], {"a": {"x": 1, "y": 2}}),
        ({"0": "a"}, [{"op": "replace", "path": "/0", "value": "b"}], {"0": "b"}),
    ],
)
def test_operations_do_what_the_standard_says(document: Any, operations: Any, expected: Any) -> None:
    """RFC 6902, an example for each operation and each kind of place."""
    before = json.dumps(document)

    assert json_patch(document, operations) == expected
    assert json.dumps(document) == before


@pytest.mark.parametrize(
    ("document", "operation", "complaint"),
    [
        ({"a": 1}, {"op": "test", "path": "/a", "value": 2}, r"operation 1 .*test /a.* the value is another"),
        ({"a": True}, {"op": "test", "path": "/a", "value": 1}, "the value is another"),
        ({}, {"op": "test", "path": "/a", "value": None}, "there is no field 'a'"),
        ({}, {"op": "remove", "path": "/a"}, "there is no field 'a'"),
        ({}, {"op": "replace", "path": "/a", "value": 1}, "there is no field 'a'"),
        ({}, {"op": "add", "path": "/a/b", "value": 1}, "there is no field 'a'"),
        ({"a": 1}, {"op": "add", "path": "/a/b", "value": 1}, "nothing to add 'b' to"),
        ({"a": []}, {"op": "add", "path": "/a/1", "value": 1}, "out of range"),
        ({"a": []}, {"op": "add", "path": "/a/01", "value": 1}, "not a list index"),
        ({"a": [1]}, {"op": "remove", "path": "/a/-"}, "not a list index"),
        ({"a": [1]}, {"op": "remove", "path": "/a/1"}, "out of range"),
        ({"a": [1]}, {"op": "replace", "path": "/a/x", "value": 1}, "not a list index"),
        ({"a": {}}, {"op": "move", "from": "/a", "path": "/a/b"}, "into itself"),
        ({}, {"op": "copy", "from": "/a", "path": "/b"}, "there is no field 'a'"),
    ],
)
def test_an_operation_that_does_not_fit_is_named(document: Any, operation: Any, complaint: str) -> None:
    """With twenty operations in a patch, "failed" alone is no help."""
    fits = {"op": "add", "path": "/fits", "value": 1}

    with pytest.raises(PatchFailed, match=complaint):
        json_patch(document, [fits, operation])
    assert "fits" not in document


@pytest.mark.parametrize(
    "operations",
    [
        {},
        "x",
        [1],
        [{}],
        [{"op": "bump", "path": "/a"}],
        [{"op": ["add"], "path": "/a"}],
        [{"op": "add", "path": "/a"}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "add", "path": "/a~2", "value": 1}],
        [{"op": "add", "path": 1, "value": 1}],
        [{"op": "remove"}],
        [{"op": "copy", "path": "/a"}],
        [{"op": "remove", "path": "/a"}] * 10_001,
    ],
)
def test_what_is_no_patch_is_called_malformed(operations: Any) -> None:
    """A patch that could never work is the client's mistake, whatever the object is like."""
    with pytest.raises(MalformedPatch):
        json_patch({"a": 1}, operations)


@given(documents, documents)
def test_replacing_the_whole_gives_the_whole(before: Any, after: Any) -> None:
    """The root is a place like any other."""
    assert json_patch(before, [{"op": "replace", "path": "", "value": after}]) == after


@given(documents, documents, st.text(max_size=4))
def test_what_is_added_can_be_tested_and_removed(document: Any, value: Any, name: str) -> None:
    """Whatever the name of the field, escaping must lead to it and nowhere else."""
    pointer = "/o/" + name.replace("~", "~0").replace("/", "~1")
    holder = {"o": {}, "rest": document}

    added = json_patch(holder, [{"op": "add", "path": pointer, "value": value}])

    assert added == {"o": {name: value}, "rest": document}
    assert json_patch(added, [{"op": "test", "path": pointer, "value": value}]) == added
    assert json_patch(added, [{"op": "remove", "path": pointer}]) == holder
