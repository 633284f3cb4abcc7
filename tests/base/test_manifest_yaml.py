"""YAML comes from strangers: it must mean what Kubernetes takes it for, and must not hurt whoever reads it."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stratos.base.manifest_yaml import load_all_yaml, load_yaml

text = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]))
scalars = st.none() | st.booleans() | st.integers() | st.integers(-1000, 1000).map(lambda n: n / 4) | text
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=20
)


@given(document=documents)
def test_json_means_the_same_read_as_yaml(document: object) -> None:
    """kubectl sends either, and a manifest must not change its meaning with the way it is written."""
    assert load_yaml(json.dumps(document, ensure_ascii=False)) == document


def test_dates_stay_text_and_keys_become_names() -> None:
    assert load_yaml("day: 2026-01-01\n2: two\ntrue: yes") == {"day": "2026-01-01", "2": "two", "true": True}


def test_clock_times_and_port_mappings_stay_text() -> None:
    """YAML once counted in sixties, and nobody who writes a manifest remembers it."""
    assert load_yaml("[22:22, 12:30:45, 1:30.5, -1:10, 8080, 017, 0x1f, 1.5]") == [
        *("22:22", "12:30:45", "1:30.5", "-1:10"),
        *(8080, 15, 31, 1.5),
    ]


def test_anchors_are_written_out() -> None:
    """Manifests use them to say a thing once; what reads them may change one place without the other."""
    document = load_yaml("base: &base {a: [1]}\nmore: {<<: *base, b: 2}\nagain: *base")

    assert document == {"base": {"a": [1]}, "more": {"a": [1], "b": 2}, "again": {"a": [1]}}
    assert isinstance(document, dict)
    assert document["base"] is not document["again"]


def test_several_documents_come_in_order() -> None:
    assert list(load_all_yaml("a: 1\n---\nb: 2\n")) == [{"a": 1}, {"b": 2}]


_NESTING = f"# {'x' * 5000}\n" + "".join(
    f"x{n}: &x{n} {'[' * 50}{f'*x{n - 1}' if n else ''}{']' * 50}\n" for n in range(9)
)
_DOUBLING = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 12))
_MERGING = "".join(f"x{n}: &x{n}\n  <<: [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 1_000_000, "nested too deeply"),
        ("- " * 1_000_000 + "a", "nested too deeply"),
        (_NESTING, "nested too deeply"),
        (f"x0: &x0 [lol]\n{_DOUBLING}", "aliases make it too large"),
        (f"x0: &x0 {{a: b}}\n{_MERGING}", "aliases make it too large"),
        ("a: &a [*a]", "contains itself"),
        ("a: .nan", "nan is not a number"),
        ("a: !!binary aGk=", "type bytes"),
        ("a: !!set {b, c}", "type set"),
        ("a: !!timestamp 2026-01-01", "type date"),
        ("a: " + "9" * 5000, "digits"),
        ("? [a]\n: b", "unhashable key"),
        ("a: *nowhere", "undefined alias"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
    ],
)
def test_what_could_hurt_is_refused(text: str, why: str) -> None:
    """Each of these has crashed, filled or misled a reader of YAML somewhere."""
    with pytest.raises(yaml.YAMLError, match=why):
        load_yaml(text)
    with pytest.raises(yaml.YAMLError, match=why):
        list(load_all_yaml(text))
