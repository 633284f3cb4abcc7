"""Strategic merge patch: lists of named things merge by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apiserver.registry.json_values import copy_json
from stratos.apiserver.registry.patching import MalformedPatch, PatchFailed, strategic_merge_patch
from stratos.apiserver.registry.schema import load_builtin_schema

POD = load_builtin_schema("", "v1", "Pod")
DEPLOYMENT = load_builtin_schema("apps", "v1", "Deployment")

names = st.sampled_from(["a", "b", "c", "d"])
containers = st.lists(
    st.builds(lambda name: {"name": name, "image": f"{name}:1"}, names), unique_by=lambda c: c["name"]
)


def a_pod(*container_names: str, **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name, "image": f"{name}:1"} for name in container_names], **spec}}


def patched(pod: dict[str, Any], **spec: Any) -> dict[str, Any]:
    before = copy_json(pod)
    result: dict[str, Any] = strategic_merge_patch(pod, {"spec": spec}, POD)["spec"]
    assert pod == before
    return result


def test_a_container_is_found_by_its_name_wherever_it_stands() -> None:
    """The promise of the strategic patch: change one container, say nothing about the others."""
    spec = patched(a_pod("a", "b"), containers=[{"name": "b", "image": "b:2"}, {"name": "c", "image": "c:1"}])

    assert [(c["name"], c["image"]) for c in spec["containers"]] == [("a", "a:1"), ("b", "b:2"), ("c", "c:1")]


def test_a_directive_deletes_one_item() -> None:
    """Leaving an item out means nothing, so removing needs a word."""
    spec = patched(a_pod("a", "b"), containers=[{"name": "a", "$patch": "delete"}])

    assert [c["name"] for c in spec["containers"]] == ["b"]


def test_a_directive_replaces_a_whole_list() -> None:
    """For when the old items are not worth naming."""
    spec = patched(a_pod("a", "b"), containers=[{"$patch": "replace"}, {"name": "z", "image": "z:1"}])

    assert spec["containers"] == [{"name": "z", "image": "z:1"}]


def test_a_directive_replaces_or_deletes_an_object() -> None:
    """``replace`` keeps nothing of the old object, ``delete`` empties it."""
    pod = a_pod("a", securityContext={"runAsUser": 1, "fsGroup": 2})

    assert patched(pod, securityContext={"$patch": "replace", "fsGroup": 3})["securityContext"] == {"fsGroup": 3}
    assert patched(pod, securityContext={"$patch": "delete"})["securityContext"] == {}


def test_null_removes_a_field() -> None:
    """As in a merge patch."""
    assert "nodeName" not in patched(a_pod("a", nodeName="n"), nodeName=None)


def test_kept_keys_are_the_only_ones_that_stay() -> None:
    """Switching a rollout strategy must take the settings of the former one along."""
    deployment = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}

    assert strategic_merge_patch(deployment, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_a_list_of_plain_values_merges_as_a_set() -> None:
    """Two controllers add their finalizers without undoing each other's."""
    pod = {"metadata": {"finalizers": ["a/x", "b/x"]}}
    patch = {"metadata": {"finalizers": ["c/x", "a/x"], "$deleteFromPrimitiveList/finalizers": ["b/x"]}}

    result = strategic_merge_patch(pod, patch, POD)

    assert result == {"metadata": {"finalizers": ["a/x", "c/x"]}}


def test_an_atomic_list_is_replaced() -> None:
    """Tolerations have no key: half a list would mean something nobody wrote."""
    pod = a_pod("a", tolerations=[{"key": "x"}])

    assert patched(pod, tolerations=[{"key": "y"}])["tolerations"] == [{"key": "y"}]


def test_the_order_asked_for_is_kept_and_others_stay_near_their_neighbours() -> None:
    """`kubectl apply` sends the order of the manifest; a side-car injected in between keeps its place."""
    pod = a_pod("a", "injected", "b")
    spec = patched(
        pod,
        **{"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]},
        containers=[{"name": "c", "image": "c:1"}],
    )

    assert [c["name"] for c in spec["containers"]] == ["c", "injected", "b", "a"]


@pytest.mark.parametrize(
    ("patch", "error", "complaint"),
    [
        ([], MalformedPatch, "must be an object"),
        ({"spec": {"$patch": "explode"}}, MalformedPatch, "unknown patch directive 'explode'"),
        ({"spec": {"containers": ["a"]}}, MalformedPatch, "must be objects"),
        ({"spec": {"containers": [{"image": "x"}]}}, PatchFailed, "does not contain the merge key 'name'"),
        ({"spec": {"$retainKeys": "x"}}, MalformedPatch, "must be a list"),
        ({"spec": {"$setElementOrder/containers": 1}}, MalformedPatch, "must be a list"),
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": 1}}, MalformedPatch, "must be a list"),
    ],
)
def test_a_patch_that_makes_no_sense_is_refused(patch: Any, error: type[Exception], complaint: str) -> None:
    """And the object stays as it was."""
    with pytest.raises(error, match=complaint):
        strategic_merge_patch(a_pod("a"), patch, POD)


@given(containers, containers)
def test_patching_in_and_deleting_again_gives_back_the_others(old: list[Any], new: list[Any]) -> None:
    """Nothing but the named items is ever touched."""
    pod = {"spec": {"containers": old}}
    added = strategic_merge_patch(pod, {"spec": {"containers": new}}, POD)
    deletions = [{"name": c["name"], "$patch": "delete"} for c in new]

    left = strategic_merge_patch(added, {"spec": {"containers": deletions}}, POD)

    named = {c["name"] for c in new}
    assert left["spec"]["containers"] == [c for c in old if c["name"] not in named]


@given(containers, containers)
def test_patching_twice_is_patching_once(old: list[Any], new: list[Any]) -> None:
    """A patch may be sent again."""
    order = [{"name": c["name"]} for c in new]
    patch = {"spec": {"containers": new, "$setElementOrder/containers": order}}
    once = strategic_merge_patch({"spec": {"containers": old}}, patch, POD)

    assert strategic_merge_patch(once, patch, POD) == once
    assert [c for c in once["spec"]["containers"] if c in new] == new
