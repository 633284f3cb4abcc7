"""Who may do what, by roles and bindings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apiserver.auth.bootstrap import bootstrap_objects, bootstrap_roles
from stratos.apiserver.auth.contract import ALL_AUTHENTICATED, Attributes, User, describe_refusal
from stratos.apiserver.auth.rbac import RbacAuthorizer
from stratos.apiserver.auth.rules import Rule, missing_rights
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.registry.builtin import builtin_resources

Obj = dict[str, Any]

ANN = User("ann", groups=("team", ALL_AUTHENTICATED))
BOT = User("system:serviceaccount:ci:bot", groups=("system:serviceaccounts", ALL_AUTHENTICATED))


def a_role(name: str, *rules: Obj, namespace: str = "", labels: Obj | None = None, collects: str = "") -> Obj:
    metadata: Obj = {"name": name, "labels": labels or {}}
    role: Obj = {"kind": "Role" if namespace else "ClusterRole", "metadata": metadata, "rules": list(rules)}
    if namespace:
        metadata["namespace"] = namespace
    if collects:
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {collects: "true"}}]}
    return role


def a_binding(role: str, *subjects: Obj, kind: str = "ClusterRole", namespace: str = "") -> Obj:
    metadata = {"name": f"{role}-binding"} | ({"namespace": namespace} if namespace else {})
    return {
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"kind": kind, "name": role},
        "subjects": list(subjects),
    }


def rule(verbs: str, resources: str, group: str = "", names: str = "") -> Obj:
    return {
        "verbs": verbs.split(),
        "apiGroups": [group],
        "resources": resources.split(),
        "resourceNames": names.split(),
    }


def user(name: str) -> Obj:
    return {"kind": "User", "name": name}


def an_authorizer(*objects: Obj) -> RbacAuthorizer:
    observed = ObservedObjects()
    for obj in objects:
        observed.put(f"{obj['kind'].lower()}s.rbac.authorization.k8s.io", obj)
    return RbacAuthorizer(observed)


def wish(
    verb: str, resource: str, *, who: User = ANN, group: str = "", namespace: str = "", name: str = ""
) -> Attributes:
    base, _, subresource = resource.partition("/")
    return Attributes(who, verb, group=group, resource=base, subresource=subresource, namespace=namespace, name=name)


@pytest.mark.parametrize(
    ("rules", "wanted", "allowed"),
    [
        ([rule("get list", "pods")], wish("get", "pods"), True),
        ([rule("get list", "pods")], wish("delete", "pods"), False),
        ([rule("*", "pods")], wish("delete", "pods"), True),
        ([rule("get", "pods")], wish("get", "pods/log"), False),
        ([rule("get", "pods/log")], wish("get", "pods/log"), True),
        ([rule("get", "pods/log")], wish("get", "pods"), False),
        ([rule("update", "*/scale", "apps")], wish("update", "deployments/scale", group="apps"), True),
        ([rule("update", "*/scale", "apps")], wish("update", "deployments", group="apps"), False),
        ([rule("get", "*")], wish("get", "pods/log"), True),
        ([rule("get", "deployments")], wish("get", "deployments", group="apps"), False),
        ([rule("get", "deployments", "*")], wish("get", "deployments", group="apps"), True),
        ([rule("get", "secrets", names="mine")], wish("get", "secrets", name="mine"), True),
        ([rule("get", "secrets", names="mine")], wish("get", "secrets", name="other"), False),
        ([rule("list", "secrets", names="mine")], wish("list", "secrets"), False),
        ([{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}], Attributes(ANN, "get", path="/metrics"), True),
        ([{"verbs": ["get"], "nonResourceURLs": ["/healthz/*"]}], Attributes(ANN, "get", path="/healthz/etcd"), True),
        ([{"verbs": ["get"], "nonResourceURLs": ["/healthz/*"]}], Attributes(ANN, "get", path="/metrics"), False),
        ([rule("*", "*", "*")], Attributes(ANN, "get", path="/metrics"), False),
        ([], wish("get", "pods"), False),
    ],
)
def test_a_rule_allows_what_it_names_and_no_more(rules: list[Obj], wanted: Attributes, allowed: bool) -> None:
    """Every cluster's isolation rests on this table."""
    authorizer = an_authorizer(a_role("r", *rules), a_binding("r", user("ann")))

    assert authorizer.authorize(wanted).allowed is allowed


READER = a_role("reader", rule("get", "pods"))


@pytest.mark.parametrize(
    ("binding", "wanted", "allowed"),
    [
        (a_binding("reader", user("ann")), wish("get", "pods", namespace="a"), True),
        (a_binding("reader", user("bob")), wish("get", "pods", namespace="a"), False),
        (a_binding("reader", {"kind": "Group", "name": "team"}), wish("get", "pods", namespace="a"), True),
        (a_binding("reader", {"kind": "User", "name": "team"}), wish("get", "pods", namespace="a"), False),
        (a_binding("reader", user("ann"), namespace="a"), wish("get", "pods", namespace="a"), True),
        (a_binding("reader", user("ann"), namespace="a"), wish("get", "pods", namespace="b"), False),
        (a_binding("reader", user("ann"), namespace="a"), wish("get", "pods"), False),
        (
            a_binding("reader", {"kind": "ServiceAccount", "name": "bot", "namespace": "ci"}),
            wish("get", "pods", who=BOT),
            True,
        ),
        (
            a_binding("reader", {"kind": "ServiceAccount", "name": "bot", "namespace": "other"}),
            wish("get", "pods", who=BOT),
            False,
        ),
    ],
)
def test_a_binding_reaches_its_subjects_in_its_namespace(binding: Obj, wanted: Attributes, allowed: bool) -> None:
    """A RoleBinding must never leak out of its namespace, nor to somebody of another kind with the same name."""
    assert an_authorizer(READER, binding).authorize(wanted).allowed is allowed


def test_a_decision_says_which_binding_made_it() -> None:
    """Who asks "why may this robot delete nodes?" deserves an answer."""
    authorizer = an_authorizer(READER, a_binding("reader", user("ann"), namespace="a"))

    assert authorizer.authorize(wish("get", "pods", namespace="a")).reason == (
        'RBAC: allowed by RoleBinding "a/reader-binding" of ClusterRole "reader" to User "ann"'
    )


def test_a_binding_to_a_missing_role_is_mentioned_in_the_refusal() -> None:
    """A typing error in ``roleRef`` is otherwise very hard to see."""
    decision = an_authorizer(a_binding("raeder", user("ann"))).authorize(wish("get", "pods"))

    assert not decision.allowed
    assert decision.reason == 'RBAC: clusterrole.rbac.authorization.k8s.io "raeder" not found'


def test_a_change_of_roles_counts_at_once() -> None:
    """Taking a right away must not wait for anything."""
    observed = ObservedObjects()
    authorizer = RbacAuthorizer(observed)
    observed.put("clusterroles.rbac.authorization.k8s.io", READER)
    observed.put("clusterrolebindings.rbac.authorization.k8s.io", a_binding("reader", user("ann")))
    before = authorizer.authorize(wish("get", "pods")).allowed

    observed.remove("clusterrolebindings.rbac.authorization.k8s.io", "", "reader-binding")

    assert (before, authorizer.authorize(wish("get", "pods")).allowed) == (True, False)


def test_aggregated_roles_collect_rules_through_each_other() -> None:
    """``admin`` holds ``edit`` holds ``view``; custom kinds join by a label. Circles must end."""
    authorizer = an_authorizer(
        a_role("big", collects="to-big"),
        a_role("middle", labels={"to-big": "true"}, collects="to-middle"),
        a_role("leaf", rule("get", "pods"), labels={"to-middle": "true"}),
        a_role("circle", labels={"to-middle": "true"}, collects="to-big"),
        a_binding("big", user("ann")),
    )

    assert authorizer.authorize(wish("get", "pods")).allowed


def test_masters_may_do_anything() -> None:
    """Somebody must be able to repair the roles themselves."""
    root = User("root", groups=("system:masters",))

    assert an_authorizer().authorize(wish("delete", "nodes", who=root)).allowed


@pytest.mark.parametrize(
    ("groups", "wanted", "allowed"),
    [
        (("admin",), wish("create", "rolebindings", group="rbac.authorization.k8s.io", namespace="a"), True),
        (("edit",), wish("create", "rolebindings", group="rbac.authorization.k8s.io", namespace="a"), False),
        (("edit",), wish("create", "deployments", group="apps", namespace="a"), True),
        (("edit",), wish("get", "secrets", namespace="a"), True),
        (("view",), wish("get", "secrets", namespace="a"), False),
        (("view",), wish("list", "pods", namespace="a"), True),
        (("view",), wish("create", "pods", namespace="a"), False),
        (("admin",), wish("get", "pods", namespace="b"), False),
        (("system:nodes",), wish("update", "nodes/status"), True),
        (("system:nodes",), wish("delete", "deployments", group="apps"), False),
        ((ALL_AUTHENTICATED,), Attributes(ANN, "get", path="/apis/apps/v1"), True),
        ((ALL_AUTHENTICATED,), wish("create", "selfsubjectaccessreviews", group="authorization.k8s.io"), True),
        ((ALL_AUTHENTICATED,), wish("list", "pods"), False),
        (("system:unauthenticated",), Attributes(ANN, "get", path="/version"), False),
        (("system:unauthenticated",), Attributes(ANN, "get", path="/apis"), False),
    ],
)
def test_a_new_cluster_has_the_usual_roles(groups: tuple[str, ...], wanted: Attributes, allowed: bool) -> None:
    """Manifests bind to ``admin``, ``edit`` and ``view`` by name and expect them to mean what they always mean."""
    names = ("admin", "edit", "view")
    bindings = [a_binding(name, {"kind": "Group", "name": name}, namespace="a") for name in names]
    authorizer = an_authorizer(*bootstrap_roles(), *bindings)
    somebody = User("somebody", groups=groups)
    asked = Attributes(
        somebody,
        wanted.verb,
        group=wanted.group,
        resource=wanted.resource,
        subresource=wanted.subresource,
        namespace=wanted.namespace,
        path=wanted.path,
    )

    assert authorizer.authorize(asked).allowed is allowed


def test_what_a_cluster_is_born_with_is_valid() -> None:
    """The first start must not trip over our own objects."""
    resources = {resource.kind: resource for resource in builtin_resources()}
    for obj in bootstrap_objects():
        resource = resources[obj["kind"]]
        resource.default(obj)

        assert (*resource.schema.validate(obj), *resource.validate(obj)) == ()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            wish("list", "pods", namespace="default"),
            'pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "default"',
        ),
        (
            wish("update", "deployments/scale", group="apps", namespace="a", name="web"),
            'deployments.apps "web" is forbidden: User "ann" cannot update resource "deployments/scale" '
            'in API group "apps" in the namespace "a"',
        ),
        (
            wish("get", "nodes", name="n1"),
            'nodes "n1" is forbidden: User "ann" cannot get resource "nodes" in API group "" at the cluster scope',
        ),
        (Attributes(ANN, "get", path="/metrics"), 'forbidden: User "ann" cannot get path "/metrics"'),
    ],
)
def test_a_refusal_reads_as_on_a_real_server(attributes: Attributes, message: str) -> None:
    """People search the web for this sentence."""
    assert describe_refusal(attributes) == message


RULES = st.builds(
    Rule,
    verbs=st.frozensets(st.sampled_from(["get", "list", "delete", "*"]), min_size=1),
    groups=st.frozensets(st.sampled_from(["", "apps", "*"]), min_size=1),
    resources=st.frozensets(st.sampled_from(["pods", "pods/log", "*/log", "nodes", "*"]), min_size=1),
    names=st.frozensets(st.sampled_from(["a", "b"])),
)
WISHES = st.builds(
    wish,
    st.sampled_from(["get", "list", "delete"]),
    st.sampled_from(["pods", "pods/log", "nodes", "nodes/log"]),
    group=st.sampled_from(["", "apps"]),
    name=st.sampled_from(["", "a", "b"]),
)


@given(held=st.lists(RULES, max_size=3), wanted=st.lists(RULES, max_size=2), asked=WISHES)
def test_rights_that_are_not_missing_are_really_held(held: list[Rule], wanted: list[Rule], asked: Attributes) -> None:
    """If the escalation check lets a role pass, its holder can do nothing its giver could not."""
    if not missing_rights(held, wanted) and any(rule.allows(asked) for rule in wanted):
        assert any(rule.allows(asked) for rule in held)


@given(rules=st.lists(RULES, max_size=4))
def test_everybody_may_pass_on_what_they_hold(rules: list[Rule]) -> None:
    """A check that refuses one's own rights would make delegation impossible."""
    assert missing_rights(rules, rules) == []
