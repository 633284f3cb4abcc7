"""Rules meet odd objects: whatever passes the shape is judged, never stumbled over."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stratos.apiserver.auth.bootstrap import bootstrap_objects
from stratos.apiserver.registry.builtin import builtin_resources

Obj = dict[str, Any]

RESOURCES = {resource.kind: resource for resource in builtin_resources()}

_PROBE = {"httpGet": {"port": "http", "path": "/"}, "periodSeconds": 5}
_TERM = {"labelSelector": {"matchLabels": {"a": "b"}}, "topologyKey": "zone"}
_POD_SPEC: Obj = {
    "containers": [
        {
            "name": "main",
            "image": "nginx",
            "ports": [{"containerPort": 80, "name": "http"}],
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "envFrom": [{"configMapRef": {"name": "c"}}],
            "resources": {"requests": {"cpu": "1", "nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}},
            "livenessProbe": _PROBE,
            "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
            "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "x"}],
            "securityContext": {"runAsUser": 1},
        }
    ],
    "initContainers": [{"name": "init", "image": "x", "restartPolicy": "Always"}],
    "volumes": [
        {"name": "v", "projected": {"sources": [{"secret": {"name": "s", "items": [{"key": "k", "path": "p"}]}}]}}
    ],
    "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "z", "operator": "In", "values": ["a"]}]}]
            }
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": _TERM}]
        },
    },
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "schedulingGates": [{"name": "wait"}],
    "nodeSelector": {"a": "b"},
    "hostAliases": [{"ip": "10.0.0.1"}],
    "readinessGates": [{"conditionType": "ready"}],
}
_TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": _POD_SPEC}
_SELECTED = {"selector": {"matchLabels": {"app": "web"}}, "template": _TEMPLATE}
_WEBHOOK = {
    "name": "a.example.com",
    "clientConfig": {"service": {"name": "s", "namespace": "n", "path": "/x"}, "caBundle": "AAAA"},
    "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
    "matchConditions": [{"name": "c", "expression": "true"}],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}


def _an_object(kind: str, **fields: Any) -> Obj:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
    metadata = {"name": "x", "uid": "u", "labels": {"a": "b"}, "finalizers": ["a.b/c"], "ownerReferences": [owner]}
    return {"apiVersion": RESOURCES[kind].group_version, "kind": kind, "metadata": metadata, **fields}


RICH = [
    _an_object("Pod", spec=_POD_SPEC),
    *(_an_object(kind, spec=_SELECTED) for kind in ("Deployment", "ReplicaSet", "DaemonSet")),
    _an_object("StatefulSet", spec={**_SELECTED, "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": {}}]}),
    _an_object("Job", spec={"template": _TEMPLATE, "completions": 2, "podFailurePolicy": {"rules": []}}),
    _an_object("CronJob", spec={"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": _TEMPLATE}}}),
    _an_object("Service", spec={"ports": [{"port": 80, "targetPort": "http"}], "externalIPs": ["10.0.0.1"]}),
    _an_object("Endpoints", subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]),
    _an_object("EndpointSlice", addressType="IPv4", endpoints=[{"addresses": ["10.0.0.1"]}], ports=[{"port": 80}]),
    _an_object("Secret", data={"a": "AAAA"}, stringData={"b": "x"}),
    _an_object("LimitRange", spec={"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": 1}}]}),
    _an_object("Node", spec={"taints": [{"key": "k", "effect": "NoSchedule"}]}, status={"capacity": {"cpu": "1"}}),
    _an_object("PodDisruptionBudget", spec={"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}}),
    _an_object("HorizontalPodAutoscaler", spec={"scaleTargetRef": {"kind": "D", "name": "d"}, "maxReplicas": 3}),
    _an_object("MutatingWebhookConfiguration", webhooks=[_WEBHOOK]),
    *bootstrap_objects(),
]
NONSENSE: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "x", -1, 0, 1.5, True, [], {}, [None], [{}], ["x"], {"x": None}, {"x": "y"}]
)


def _places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    children: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*path, key))


@st.composite
def damaged_objects(draw: st.DrawFn) -> tuple[Obj, Obj]:
    """A rich object, and the same with nonsense in up to three places."""
    whole = draw(st.sampled_from(RICH))
    damaged = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(sorted(_places(damaged), key=str)))
        owner: Any = damaged
        for key in parents:
            owner = owner[key]
        owner[last] = copy.deepcopy(draw(NONSENSE))
    return whole, damaged


@given(objects=damaged_objects())
@settings(max_examples=400)
def test_an_object_of_the_right_shape_is_judged_whatever_is_in_it(objects: tuple[Obj, Obj]) -> None:
    """A rule that stumbles answers "internal error", where the person needs the name of a field."""
    whole, damaged = copy.deepcopy(objects[0]), objects[1]
    resource = RESOURCES[whole["kind"]]
    metadata = damaged.get("metadata")
    if not isinstance(metadata, dict) or resource.schema.validate(damaged):
        return  # refused before any rule is asked
    resource.default(whole)
    resource.default(damaged)

    problems = (*resource.validate(damaged), *resource.validate_update(damaged, whole))

    assert all(problem.message and problem.reason for problem in problems)
