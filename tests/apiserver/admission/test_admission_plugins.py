"""What the built-in admission plugins make of writes."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apiserver.admission.chain import AdmissionChain, build_admission
from stratos.apiserver.admission.contract import AdmissionRefused, AdmissionRequest, Operation
from stratos.apiserver.auth.contract import User
from stratos.apiserver.auth.rbac import RbacAuthorizer
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.registry.builtin import builtin_resources
from stratos.base.ids import SeededIds
from stratos.testing.virtual_time import run

Obj = dict[str, Any]

RESOURCES = {resource.kind: resource for resource in builtin_resources()}
ANN = User("ann", groups=("team",))
NAMESPACE = {"metadata": {"name": "a"}, "status": {"phase": "Active"}}
RBAC = "rbac.authorization.k8s.io"


def observed(**objects: list[Obj]) -> ObservedObjects:
    """The objects by the singular name of their kind. Namespace ``a`` and its ``default`` account are always there."""
    found = ObservedObjects()
    found.put("namespaces", NAMESPACE)
    for obj in [{"metadata": {"name": "default", "namespace": "a"}}, *objects.pop("serviceaccount", [])]:
        found.put("serviceaccounts", obj)
    names = {resource.singular: resource.group_resource for resource in RESOURCES.values()}
    for kind, listed in objects.items():
        for obj in listed:
            found.put(names[kind], obj)
    return found


def a_chain(objects: ObservedObjects) -> AdmissionChain:
    return build_admission(objects, RbacAuthorizer(objects), SeededIds(random.Random(1)))


def a_write(
    kind: str,
    obj: Obj,
    *,
    operation: Operation = Operation.CREATE,
    old: Obj | None = None,
    user: User = ANN,
    dry_run: bool = False,
) -> AdmissionRequest:
    resource = RESOURCES[kind]
    obj.setdefault("metadata", {}).setdefault("name", "web")
    namespace = "a" if resource.namespaced else ""
    if namespace:
        obj["metadata"]["namespace"] = namespace
    return AdmissionRequest(operation, resource, obj["metadata"]["name"], namespace, user, obj, old, dry_run=dry_run)


def admit(request: AdmissionRequest, objects: ObservedObjects) -> Obj:
    async def both() -> None:
        chain = a_chain(objects)
        await chain.mutate(request)
        await chain.validate(request)

    run(both())
    assert request.obj is not None
    return request.obj


def refusal(request: AdmissionRequest, objects: ObservedObjects) -> str:
    with pytest.raises(AdmissionRefused) as caught:
        admit(request, objects)
    assert (caught.value.code, caught.value.reason) == (403, "Forbidden")
    return caught.value.message


def a_pod(**spec: Any) -> Obj:
    return {"spec": {"containers": [{"name": "main", "image": "nginx"}], **spec}}


def test_nothing_begins_in_a_namespace_that_is_missing_or_going() -> None:
    """An object created behind the back of a namespace's deletion would keep it from ever ending."""
    elsewhere, going = ObservedObjects(), observed()
    going.put("namespaces", {"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}})

    with pytest.raises(AdmissionRefused) as missing:
        admit(a_write("ConfigMap", {}), elsewhere)
    message = refusal(a_write("ConfigMap", {}), going)

    assert (missing.value.code, missing.value.message) == (404, 'namespaces "a" not found')
    assert "because it is being terminated" in message


@pytest.mark.parametrize("kind", sorted(RESOURCES))
def test_an_object_without_anything_in_it_passes_through(kind: str) -> None:
    """Admission comes before the rules: what it meets may lack everything a sensible object has."""
    obj: Obj = {"metadata": {"name": "web"}, "roleRef": {"kind": "Role", "name": "x"}}
    RESOURCES[kind].default(obj)
    request = a_write(kind, obj)

    run(a_chain(observed(limitrange=[{"metadata": {"name": "empty", "namespace": "a"}}])).mutate(request))

    assert request.obj is obj


def a_class(name: str, value: int, **fields: Any) -> Obj:
    return {"metadata": {"name": name}, "value": value, **fields}


def test_a_pod_gets_account_priority_and_patience() -> None:
    """Every pod of a real cluster has these fields; the scheduler and the node controller read them."""
    spec = admit(a_write("Pod", a_pod()), observed())["spec"]

    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert {(t["key"], t["effect"], t["tolerationSeconds"]) for t in spec["tolerations"]} == {
        ("node.kubernetes.io/not-ready", "NoExecute", 300),
        ("node.kubernetes.io/unreachable", "NoExecute", 300),
    }


def test_a_missing_account_is_refused_by_name() -> None:
    """A pod that would run as nobody must not start at all."""
    message = refusal(a_write("Pod", a_pod(serviceAccountName="robot")), observed())

    assert message == (
        'pods "web" is forbidden: error looking up service account a/robot: serviceaccount "robot" not found'
    )


def test_the_default_account_of_a_new_namespace_is_waited_for() -> None:
    """``kubectl apply`` of a namespace and a pod together must not lose the race against the account's controller."""
    objects = ObservedObjects()
    objects.put("namespaces", NAMESPACE)
    request = a_write("Pod", a_pod())

    async def account_comes_late() -> None:
        admitted = asyncio.ensure_future(a_chain(objects).mutate(request))
        await asyncio.sleep(0.5)
        objects.put("serviceaccounts", {"metadata": {"name": "default", "namespace": "a"}})
        await admitted

    run(account_comes_late())

    assert request.obj is not None
    assert request.obj["spec"]["serviceAccountName"] == "default"


def test_pull_secrets_come_from_the_account() -> None:
    """That is how a namespace is given access to a private registry, once for all pods."""
    account = {"metadata": {"name": "default", "namespace": "a"}, "imagePullSecrets": [{"name": "registry"}]}

    pod = admit(a_write("Pod", a_pod()), observed(serviceaccount=[account]))

    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize(
    ("spec", "name", "priority", "policy"),
    [
        ({}, "usual", 10, "PreemptLowerPriority"),
        ({"priorityClassName": "high"}, "high", 1000, "Never"),
        ({"priorityClassName": "high", "priority": 1000}, "high", 1000, "Never"),
        (
            {"priorityClassName": "system-node-critical"},
            "system-node-critical",
            2_000_001_000,
            "PreemptLowerPriority",
        ),
    ],
)
def test_a_priority_class_becomes_a_number(spec: Obj, name: str, priority: int, policy: str) -> None:
    """The scheduler compares numbers; a class may change or go, the pod keeps what it was given."""
    classes = [a_class("high", 1000, preemptionPolicy="Never"), a_class("usual", 10, globalDefault=True)]

    found = admit(a_write("Pod", a_pod(**spec)), observed(priorityclass=classes))["spec"]

    assert (found["priorityClassName"], found["priority"], found["preemptionPolicy"]) == (name, priority, policy)


def test_priorities_cannot_be_made_up() -> None:
    """A number of one's own choice would get past everybody else."""
    unknown = a_write("Pod", a_pod(priorityClassName="vip"))
    invented = a_write("Pod", a_pod(priority=7))

    assert refusal(unknown, observed()) == 'pods "web" is forbidden: no PriorityClass with name vip was found'
    assert "the integer value of priority (7) must not be provided in pod spec" in refusal(invented, observed())


def test_an_update_keeps_the_priority_it_does_not_mention() -> None:
    """``kubectl replace`` with the original manifest must not look like a change of priority."""
    request = a_write("Pod", a_pod(), operation=Operation.UPDATE, old=a_pod(priority=1000, preemptionPolicy="Never"))

    assert admit(request, observed())["spec"]["priority"] == 1000


def test_there_is_one_default_priority_class() -> None:
    """With two, the priority of a pod would depend on which was looked at first."""
    request = a_write("PriorityClass", {"metadata": {"name": "new"}, "value": 1, "globalDefault": True})

    message = refusal(request, observed(priorityclass=[a_class("usual", 10, globalDefault=True)]))

    assert message.endswith("PriorityClass usual is already marked as default. Only one default can exist")


@pytest.mark.parametrize(
    "toleration",
    [
        {"operator": "Exists"},
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 5},
    ],
)
def test_who_speaks_of_lost_nodes_is_left_alone(toleration: Obj) -> None:
    """DaemonSet pods stay forever, impatient ones leave at once: both said so."""
    tolerations = admit(a_write("Pod", a_pod(tolerations=[toleration])), observed())["spec"]["tolerations"]

    about_unreachable = [t for t in tolerations if t.get("key") in (None, "node.kubernetes.io/unreachable")]
    assert about_unreachable == [toleration]


LIMITS = {
    "metadata": {"name": "limits", "namespace": "a"},
    "spec": {
        "limits": [
            {
                "type": "Container",
                "default": {"memory": "512Mi"},
                "defaultRequest": {"memory": "256Mi"},
                "max": {"memory": "1Gi"},
                "min": {"memory": "64Mi"},
            }
        ]
    },
}


def test_a_limit_range_fills_in_and_bounds() -> None:
    """A namespace's owner decides what a container without figures costs, and how large one may be."""

    def with_memory(resources: Obj) -> AdmissionRequest:
        return a_write("Pod", {"spec": {"containers": [{"name": "m", "image": "i", "resources": resources}]}})

    objects = observed(limitrange=[LIMITS])

    filled = admit(with_memory({}), objects)["spec"]["containers"][0]["resources"]
    assert filled == {"limits": {"memory": "512Mi"}, "requests": {"memory": "256Mi"}}
    assert "maximum memory usage per Container is 1Gi, but limit is 2Gi" in refusal(
        with_memory({"limits": {"memory": "2Gi"}}), objects
    )
    assert "minimum memory usage per Container is 64Mi, but request is 1Mi" in refusal(
        with_memory({"requests": {"memory": "1Mi"}}), objects
    )


def a_service(name: str = "web", **spec: Any) -> Obj:
    return {"metadata": {"name": name}, "spec": {"type": "ClusterIP", "ports": [{"port": 80}], **spec}}


@given(names=st.lists(st.from_regex(r"[a-z]{1,3}", fullmatch=True), min_size=1, max_size=30, unique=True))
def test_no_two_services_share_an_address_or_a_node_port(names: list[str]) -> None:
    """Traffic for one service must never reach another, even when all are created in one burst."""
    objects, addresses, ports = observed(), [], []
    chain = a_chain(objects)
    for name in names:
        request = a_write("Service", a_service(name, type="NodePort"))
        run(chain.mutate(request))
        assert request.obj is not None
        addresses.append(request.obj["spec"]["clusterIP"])
        ports.append(request.obj["spec"]["ports"][0]["nodePort"])

    assert len(set(addresses)) == len(set(ports)) == len(names)
    assert all(address.startswith("10.") for address in addresses)
    assert all(30000 <= port <= 32767 for port in ports)


def test_a_service_keeps_its_address() -> None:
    """Clients remember it: applying the manifest again, or creating the service anew, gives the same one."""
    first = admit(a_write("Service", a_service()), observed())
    again = admit(a_write("Service", a_service()), observed())
    update = a_write("Service", a_service(), operation=Operation.UPDATE, old={"spec": {"clusterIP": "10.96.7.7"}})

    assert first["spec"]["clusterIP"] == again["spec"]["clusterIP"]
    assert admit(update, observed())["spec"]["clusterIP"] == "10.96.7.7"


def test_addresses_asked_for_are_given_unless_taken() -> None:
    """DNS, for one, lives at an address that is written down elsewhere."""
    other = {"metadata": {"name": "dns", "namespace": "b"}, "spec": {"clusterIPs": ["10.96.0.10"]}}
    objects = observed(service=[other])

    assert admit(a_write("Service", a_service(clusterIP="10.96.0.11")), objects)["spec"]["clusterIPs"] == ["10.96.0.11"]
    assert "the provided IP (10.96.0.10) is already allocated" in refusal(
        a_write("Service", a_service(clusterIP="10.96.0.10")), objects
    )
    assert admit(a_write("Service", a_service(clusterIP="None")), objects)["spec"]["clusterIP"] == "None"


def test_a_dry_run_takes_no_address() -> None:
    """Asking what would happen must leave no trace."""
    chain = a_chain(observed())
    asked, created = a_write("Service", a_service(), dry_run=True), a_write("Service", a_service("other"))

    run(chain.mutate(asked))
    assert asked.obj is not None
    assert created.obj is not None
    created.obj["spec"]["clusterIP"] = asked.obj["spec"]["clusterIP"]
    run(chain.validate(created))


SECRETS = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}
PODS = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
ESCALATE = {"verbs": ["escalate", "bind"], "apiGroups": [RBAC], "resources": ["roles", "clusterroles"]}


def with_rights(*rules: Obj) -> ObservedObjects:
    """Ann holds these rules everywhere; a role ``secrets`` is there to be bound."""
    roles = [
        {"kind": "ClusterRole", "metadata": {"name": "hers"}, "rules": list(rules)},
        {"kind": "ClusterRole", "metadata": {"name": "secrets"}, "rules": [SECRETS]},
    ]
    binding = {
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "hers"},
        "roleRef": {"kind": "ClusterRole", "name": "hers"},
        "subjects": [{"kind": "User", "name": "ann"}],
    }
    return observed(clusterrole=roles, clusterrolebinding=[binding])


def a_role_for_secrets() -> AdmissionRequest:
    return a_write("Role", {"kind": "Role", "rules": [SECRETS]})


def a_binding_to_secrets() -> AdmissionRequest:
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "secrets"}
    return a_write("RoleBinding", {"kind": "RoleBinding", "roleRef": reference, "subjects": []})


@pytest.mark.parametrize("request_of", [a_role_for_secrets, a_binding_to_secrets])
def test_nobody_grants_more_than_they_hold(request_of: Any) -> None:
    """Who may write roles could otherwise make themselves anything."""
    message = refusal(request_of(), with_rights(PODS))

    assert 'user "ann" (groups=["team"]) is attempting to grant RBAC permissions not currently held:' in message
    assert '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}' in message


@pytest.mark.parametrize("request_of", [a_role_for_secrets, a_binding_to_secrets])
@pytest.mark.parametrize("rights", [SECRETS, ESCALATE], ids=["holds them", "may escalate"])
def test_rights_held_may_be_passed_on(request_of: Any, rights: Obj) -> None:
    """Delegation is the point of roles; ``escalate`` and ``bind`` are the deliberate exceptions."""
    admit(request_of(), with_rights(rights))
