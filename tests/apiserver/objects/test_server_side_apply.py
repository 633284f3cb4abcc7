"""Server-side apply: several managers, one object, and nobody's work undone unseen."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apiserver.registry.json_values import copy_json
from stratos.apiserver.registry.patching import ApplyConflict, MalformedPatch, apply, track_update
from stratos.apiserver.registry.schema import Schema, load_builtin_schema

Obj = dict[str, Any]

DEPLOYMENT = load_builtin_schema("apps", "v1", "Deployment")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_deployment(replicas: int | None = None, labels: Obj | None = None, **containers: Obj) -> Obj:
    spec: Obj = {} if replicas is None else {"replicas": replicas}
    if containers:
        items = [{"name": name, **container} for name, container in containers.items()]
        spec["template"] = {"spec": {"containers": items}}
    metadata: Obj = {"name": "web", "namespace": "default"} | ({"labels": labels} if labels is not None else {})
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def applied(
    live: Obj | None,
    config: Obj,
    manager: str,
    *,
    force: bool = False,
    schema: Schema = DEPLOYMENT,
    now: datetime = NOW,
) -> Obj:
    before = copy_json(live), copy_json(config)
    result = apply(live, config, manager=manager, force=force, schema=schema, api_version="apps/v1", now=now)
    assert (live, config) == before
    return result


def updated(live: Obj, new: Obj, manager: str, *, now: datetime = NOW) -> Obj:
    result: Obj = copy_json(new)
    track_update(live, result, manager=manager, schema=DEPLOYMENT, api_version="apps/v1", now=now)
    return result


def owned_by(obj: Obj, manager: str) -> Obj:
    entries = [e for e in obj["metadata"].get("managedFields", []) if e["manager"] == manager]
    return entries[0]["fieldsV1"] if entries else {}


def content(obj: Obj) -> Obj:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def test_the_first_apply_creates_the_object_and_owns_what_it_says() -> None:
    """Ownership is by leaf: fields, items of map lists by their keys, atomic values as a whole."""
    config = a_deployment(1, {"a": "b"}, web={"image": "i", "ports": [{"containerPort": 80}], "command": ["x"]})

    live = applied(None, config, "kubectl")

    assert content(live) == config
    (entry,) = live["metadata"]["managedFields"]
    assert entry == {
        "manager": "kubectl",
        "operation": "Apply",
        "apiVersion": "apps/v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:template": {
                    "f:spec": {
                        "f:containers": {
                            'k:{"name":"web"}': {
                                ".": {},
                                "f:name": {},
                                "f:image": {},
                                "f:ports": {
                                    'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}
                                },
                                "f:command": {},
                            }
                        }
                    }
                },
            },
        },
    }


def test_applying_the_same_again_changes_nothing_not_even_the_time() -> None:
    """Otherwise every round of a controller would be a write, and an event for every watcher."""
    live = applied(None, a_deployment(1), "kubectl")

    assert applied(live, a_deployment(1), "kubectl", now=NOW + timedelta(hours=1)) == live


def test_another_managers_value_is_a_conflict_that_names_field_and_owner() -> None:
    """The message is the real server's, word for word: people and scripts know it."""
    live = applied(None, a_deployment(1), "kubectl")

    with pytest.raises(ApplyConflict) as caught:
        applied(live, a_deployment(2), "helm")

    assert caught.value.message == 'Apply failed with 1 conflict: conflict with "kubectl": .spec.replicas'
    (problem,) = caught.value.problems
    assert (problem.field, problem.reason) == (".spec.replicas", "FieldManagerConflict")
    assert problem.message == 'conflict with "kubectl"'


def test_a_conflict_with_an_updater_names_the_version_it_used() -> None:
    """`kubectl apply` of old shows up like this when somebody switches to server-side apply."""
    live = updated({"metadata": {}}, a_deployment(1, web={"image": "i"}), "kubectl-client-side-apply")

    with pytest.raises(ApplyConflict) as caught:
        applied(live, a_deployment(2), "kubectl")

    assert caught.value.message == (
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas'
    )


def test_several_conflicts_are_listed_by_owner() -> None:
    """One round of fixing, not one for each field."""
    live = applied(None, a_deployment(1), "kubectl")
    live = applied(live, a_deployment(web={"image": "i"}), "helm")

    with pytest.raises(ApplyConflict) as caught:
        applied(live, a_deployment(2, web={"image": "j"}), "third")

    assert caught.value.message == (
        "Apply failed with 2 conflicts: "
        'conflicts with "helm":\n- .spec.template.spec.containers[name="web"].image\n'
        'conflicts with "kubectl":\n- .spec.replicas'
    )


def test_force_takes_the_field_over() -> None:
    """The former owner loses that field and keeps the rest."""
    live = applied(None, a_deployment(1, {"a": "b"}), "kubectl")

    taken = applied(live, a_deployment(2), "helm", force=True)

    assert taken["spec"]["replicas"] == 2
    assert owned_by(taken, "kubectl") == {"f:metadata": {"f:labels": {"f:a": {}}}}
    assert owned_by(taken, "helm") == {"f:spec": {"f:replicas": {}}}


def test_the_same_value_is_shared_and_stays_until_the_last_owner_lets_go() -> None:
    """Agreeing is no conflict."""
    live = applied(None, a_deployment(1), "kubectl")
    live = applied(live, a_deployment(1), "helm")

    without_one = applied(live, a_deployment(), "kubectl")
    without_both = applied(without_one, a_deployment(labels={"x": "y"}), "helm")

    assert without_one["spec"]["replicas"] == 1
    assert "replicas" not in without_both.get("spec", {})


def test_what_is_no_longer_applied_goes_away() -> None:
    """Declarative means that leaving out is removing."""
    live = applied(None, a_deployment(1, {"a": "1", "b": "2"}, web={"image": "i"}, side={"image": "s"}), "kubectl")

    less = applied(live, a_deployment(1, {"a": "1"}, web={"image": "i"}), "kubectl")

    assert content(less) == a_deployment(1, {"a": "1"}, web={"image": "i"})


def test_what_others_own_inside_a_dropped_item_stays() -> None:
    """An item leaves with its last owner."""
    live = applied(None, a_deployment(web={"image": "i", "tty": True}), "kubectl")
    live = applied(live, a_deployment(web={"stdin": True}), "helm")

    left = applied(live, a_deployment(1), "kubectl")

    assert left["spec"]["template"]["spec"]["containers"] == [{"name": "web", "stdin": True}]


def test_defaults_nobody_owns_leave_with_the_item_they_belong_to() -> None:
    """Half a container, made of defaults alone, would not even be valid."""
    live = applied(None, a_deployment(web={"image": "i"}, side={"image": "s"}), "kubectl")
    for container in live["spec"]["template"]["spec"]["containers"]:
        container["imagePullPolicy"] = "Always"

    left = applied(live, a_deployment(web={"image": "i"}), "kubectl")

    containers = left["spec"]["template"]["spec"]["containers"]
    assert containers == [{"name": "web", "image": "i", "imagePullPolicy": "Always"}]


def test_the_identity_of_an_object_survives_dropping_all_labels() -> None:
    """Nobody owns a name, so nobody can let go of it."""
    live = applied(None, a_deployment(1, {"a": "b"}), "kubectl")

    bare = applied(live, a_deployment(1), "kubectl")

    assert bare["metadata"]["name"] == "web"
    assert "labels" not in bare["metadata"]


def test_a_list_of_unknown_shape_is_owned_as_a_whole() -> None:
    """Custom kinds without list types behave so on a real server."""
    schema = Schema(
        {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
    )
    live = applied(None, {"metadata": {}, "spec": {"l": [1, 2]}}, "a", schema=schema)

    with pytest.raises(ApplyConflict, match=r"\.spec\.l"):
        applied(live, {"metadata": {}, "spec": {"l": [1, 2, 3]}}, "b", schema=schema)


def test_values_of_a_set_belong_to_whoever_adds_them() -> None:
    """Finalizers are such a list."""
    live = applied(None, {"metadata": {"finalizers": ["a/x"]}}, "a")
    live = applied(live, {"metadata": {"finalizers": ["b/x"]}}, "b")

    left = applied(live, {"metadata": {}, "spec": {"paused": True}}, "a")

    assert sorted(live["metadata"]["finalizers"]) == ["a/x", "b/x"]
    assert left["metadata"]["finalizers"] == ["b/x"]


def test_managed_fields_cannot_be_applied() -> None:
    """They are the record, not a wish."""
    config = a_deployment(1)
    config["metadata"]["managedFields"] = [{"manager": "x"}]

    with pytest.raises(MalformedPatch, match="must be nil"):
        applied(None, config, "kubectl")


def test_an_update_takes_over_what_it_changes_and_nothing_else() -> None:
    """`kubectl edit` of one field must not make the editor answerable for the whole object."""
    live = applied(None, a_deployment(1, {"a": "b"}, web={"image": "i"}), "kubectl")
    new = copy_json(live)
    new["spec"]["replicas"] = 3
    del new["metadata"]["labels"]

    result = updated(live, new, "kubectl-edit", now=NOW + timedelta(minutes=1))

    assert owned_by(result, "kubectl-edit") == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owned_by(result, "kubectl")["f:spec"]
    assert "f:metadata" not in owned_by(result, "kubectl")
    assert [e["time"] for e in result["metadata"]["managedFields"]] == ["2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"]


def test_an_update_that_changes_nothing_leaves_the_books_alone() -> None:
    """A heartbeat that says the same again is no news."""
    live = applied(None, a_deployment(1), "kubectl")

    assert updated(live, live, "controller", now=NOW + timedelta(hours=1)) == live


def test_the_status_is_booked_apart_from_the_rest() -> None:
    """A controller's status must never conflict with the same controller's spec."""
    live = applied(None, a_deployment(1), "kubectl")
    new = copy_json(live)
    new["status"] = {"replicas": 1}

    track_update(
        live, new, manager="controller", schema=DEPLOYMENT, api_version="apps/v1", subresource="status", now=NOW
    )

    entry = new["metadata"]["managedFields"][-1]
    assert (entry["subresource"], entry["fieldsV1"]) == ("status", {"f:status": {"f:replicas": {}}})


def test_of_what_is_applied_to_the_status_only_the_status_counts() -> None:
    """A controller that sends the whole object along must not come to own its labels."""
    live = applied(None, a_deployment(1, {"a": "b"}), "kubectl")
    config = {**a_deployment(7, {"a": "c"}), "status": {"replicas": 1}}

    result = apply(
        live, config, manager="c", force=False, schema=DEPLOYMENT, api_version="apps/v1", subresource="status", now=NOW
    )

    assert content(result) == {**content(live), "status": {"replicas": 1}}
    assert owned_by(result, "c") == {"f:status": {"f:replicas": {}}}


@pytest.mark.parametrize("fresh", [[], [{}]])
def test_a_writer_may_start_the_books_afresh(fresh: list[Obj]) -> None:
    """The documented way out when ownership has become a tangle."""
    live = applied(None, a_deployment(1), "kubectl")
    new = copy_json(live)
    new["metadata"]["managedFields"] = fresh

    assert "managedFields" not in updated(live, new, "kubectl-edit")["metadata"]


@pytest.mark.parametrize("nonsense", [[1], [{"manager": "x"}], [{"operation": "Apply", "fieldsV1": {"f:a": 1}}]])
def test_books_that_make_no_sense_are_ignored(nonsense: list[Any]) -> None:
    """A client's bug must not erase who owns what."""
    live = applied(None, a_deployment(1), "kubectl")
    new = copy_json(live)
    new["metadata"]["managedFields"] = nonsense

    assert updated(live, new, "kubectl-edit") == live


label_sets = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2"]), max_size=4)
container_sets = st.dictionaries(
    st.sampled_from(["web", "side", "log"]),
    st.fixed_dictionaries({}, optional={"image": st.sampled_from(["i", "j"]), "tty": st.booleans()}),
    max_size=3,
)
configs = st.builds(
    lambda replicas, labels, containers: a_deployment(replicas, labels, **containers),
    st.none() | st.integers(0, 2),
    label_sets,
    container_sets,
)


@given(configs, configs)
def test_after_a_forced_apply_the_object_says_what_was_applied(first: Obj, second: Obj) -> None:
    """And applying it again changes nothing."""
    live = applied(applied(None, first, "a"), second, "b", force=True)

    assert _contains(live, second)
    assert applied(live, second, "b") == live


@given(configs, configs)
def test_an_object_with_one_manager_is_what_it_last_applied(first: Obj, second: Obj) -> None:
    """Nothing of an earlier version lingers."""
    live = applied(applied(None, first, "a"), second, "a")

    assert _without_empty(content(live)) == _without_empty(content(applied(None, second, "a")))


@given(label_sets, container_sets, configs)
def test_managers_of_different_fields_never_conflict(labels: Obj, containers: Obj, other: Obj) -> None:
    """The whole point of owning fields rather than objects."""
    mine = {"metadata": {"labels": labels}, "spec": {"template": {"spec": {"containers": [
        {"name": name, **container} for name, container in containers.items()]}}}}  # fmt: skip
    theirs = {"metadata": {"annotations": {"x": "y"}}, "spec": {"replicas": 7, "paused": True}}

    one_way = applied(applied(None, mine, "a"), theirs, "b")
    other_way = applied(applied(None, theirs, "b"), mine, "a")

    assert _without_empty(content(one_way)) == _without_empty(content(other_way))
    assert owned_by(one_way, "b") == owned_by(other_way, "b")


@given(configs, configs)
def test_a_value_belongs_to_its_last_updater_alone(first: Obj, second: Obj) -> None:
    """Two owners of one field come only from applying, where both agreed to the value."""
    live = updated({"metadata": {}}, first, "a")
    second["metadata"]["managedFields"] = live["metadata"].get("managedFields", [])
    live = updated(live, second, "b") if second["metadata"]["managedFields"] else live

    a, b = _leaves(owned_by(live, "a")), _leaves(owned_by(live, "b"))
    assert not a & b


def _contains(value: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(key in value and _contains(value[key], item) for key, item in part.items())
    if isinstance(part, list):
        by_name = {item["name"]: item for item in value}
        return all(_contains(by_name[item["name"]], item) for item in part)
    return bool(value == part)


def _without_empty(value: Any) -> Any:
    """Whether an emptied map stays as an empty one is nobody's concern; nor is the order of containers here."""
    if isinstance(value, dict):
        cleaned = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if item not in ({}, [])}
    if isinstance(value, list):
        return sorted((_without_empty(item) for item in value), key=lambda item: str(item.get("name")))
    return value


def _leaves(fields: Obj, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, below in fields.items():
        if key != ".":
            found |= _leaves(below, f"{prefix}/{key}") if below.keys() - {"."} else {f"{prefix}/{key}"}
    return found


def applied_by_client(config: Obj) -> Obj:
    """As kubectl leaves it when it applies by itself: what it applied stands in an annotation."""
    live = copy_json(config)
    live["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(config)}
    return updated({**config, "spec": {}}, live, "kubectl-client-side-apply")


def test_kubectl_takes_over_what_it_applied_by_itself_before() -> None:
    """Moving a manifest to server-side apply would otherwise begin with a conflict with oneself."""
    live = applied_by_client(a_deployment(replicas=1))

    result = applied(live, a_deployment(replicas=2), "kubectl")

    assert result["spec"]["replicas"] == 2
    assert "f:replicas" in owned_by(result, "kubectl")["f:spec"]
    with pytest.raises(ApplyConflict):
        applied(live, a_deployment(replicas=2), "another-tool")


def test_kubectl_does_not_take_over_what_somebody_changed_since_it_applied() -> None:
    """The autoscaler's replicas are not the manifest's any more, whatever the annotation remembers."""
    live = applied_by_client(a_deployment(replicas=1))
    scaled = updated(live, {**live, "spec": {"replicas": 7}}, "autoscaler")

    with pytest.raises(ApplyConflict, match="autoscaler"):
        applied(scaled, a_deployment(replicas=2), "kubectl")
