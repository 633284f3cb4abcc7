"""Reading JSON strictly, and treating it as the values it stands for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apiserver.registry.json_values import copy_json, decode_json, equal_json
from stratos.base.errors import Invalid

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@given(documents)
def test_what_was_encoded_is_decoded_the_same(document: Any) -> None:
    """The strict reader may refuse more than the lenient one, but never read something else."""
    assert decode_json(json.dumps(document).encode()) == (document, ())


def test_a_repeated_key_is_reported_with_its_path_and_the_last_one_counts() -> None:
    """`kubectl apply --validate=strict` must name the line a person wrote twice."""
    body = b'{"spec": {"a": 1, "list": [{"x": 1, "x": 2}], "a": 3}}'

    document, repeated = decode_json(body)

    assert document == {"spec": {"a": 3, "list": [{"x": 2}]}}
    assert repeated == ("spec.list[0].x", "spec.a")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": Infinity}', "not a JSON number"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": 1e400}', "1e400 is too large a number"),
        (b'{"a": "\\ud800"}', "not UTF-8"),
        (b"1" * 5000, "not JSON"),
        (b"[" * 300 + b"]" * 300, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 250 + b"1" + b"}" * 250, "nested too deeply"),
    ],
)
def test_a_broken_body_is_refused_and_told_why(body: bytes, complaint: str) -> None:
    """Anything may arrive over the network; none of it may do more than be refused."""
    with pytest.raises(Invalid, match=complaint):
        decode_json(body)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    """The limit is on depth; a long list of small objects is an ordinary document."""
    document, _ = decode_json(json.dumps([{"a": []}] * 500).encode())

    assert len(document) == 500


@given(documents)
def test_a_copy_is_equal_and_shares_nothing(document: Any) -> None:
    """Handing out a copy must be safe, whatever is done to it."""
    copy = copy_json(document)

    assert equal_json(copy, document)
    assert not (_containers(copy) & _containers(document))


def test_true_is_not_one() -> None:
    """Python holds them equal, JSON does not, and a patch test on a flag must not pass for a number."""
    assert not equal_json(True, 1)
    assert not equal_json({"a": [False]}, {"a": [0]})
    assert equal_json(1, 1.0)


def _containers(value: Any) -> set[int]:
    found = {id(value)} if isinstance(value, dict | list) else set()
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        found |= _containers(item)
    return found
