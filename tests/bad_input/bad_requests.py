"""Requests that must be refused, each with what the refusal has to say.

Grouped by what is wrong with them. `Bad.says` is the field, path or thing at fault, as the message names it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apiserver.core.api_calls import NOBODY, a_config_map, a_deployment, a_pod
from bad_input.furnished_api import (
    AWS_CLASSES,
    CONFIG_MAPS,
    DEFINITIONS,
    DEPLOYMENTS,
    NAMESPACE,
    NODES,
    PODS,
    POOLS,
    SIM_CLASSES,
    STRATOS,
    a_pool,
    a_sim_class,
    an_aws_class,
    changed,
)

Obj = dict[str, Any]

JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC_PATCH, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
BAD, FORBIDDEN, MISSING, TAKEN, INVALID = (
    (400, "BadRequest"),
    (403, "Forbidden"),
    (404, "NotFound"),
    (409, "AlreadyExists"),
    (422, "Invalid"),
)
UNKNOWN_TYPE, TOO_LARGE, NOT_ALLOWED, CONFLICT, GONE, TIMEOUT = (
    (415, "UnsupportedMediaType"),
    (413, "RequestEntityTooLarge"),
    (405, "MethodNotAllowed"),
    (409, "Conflict"),
    (410, "Expired"),
    (504, "Timeout"),
)


@dataclass(frozen=True, slots=True)
class Bad:
    title: str
    method: str
    path: str
    answer: tuple[int, str]
    says: str
    parts: Mapping[str, Any] = field(default_factory=dict)


def post(title: str, path: str, body: object, answer: tuple[int, str], says: str, **parts: Any) -> Bad:
    return Bad(title, "POST", path, answer, says, {"body": body, **parts})


def patch(title: str, path: str, type_: str, body: object, answer: tuple[int, str], says: str, **query: Any) -> Bad:
    return Bad(title, "PATCH", path, answer, says, {"body": body, "content_type": type_, **query})


def get(title: str, path: str, answer: tuple[int, str], says: str, **parts: Any) -> Bad:
    return Bad(title, "GET", path, answer, says, parts)


def spoiled(
    make: Callable[[], Obj], path: str, answer: tuple[int, str], cases: Iterable[tuple[str, Any, str]]
) -> list[Bad]:
    """One case for each field replaced by a bad value; an empty ``says`` stands for the field itself."""
    kind = make()["kind"]
    return [
        post(f"{kind} {at} = {str(value)[:100]}", path, changed(make(), at, value), answer, says or at)
        for at, value, says in cases
    ]


def _deep(levels: int) -> bytes:
    return (
        b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"x":' + b"[" * levels + b"]" * levels + b"}"
    )


def _without(*fields: str) -> Obj:
    left_out: Obj = dict.fromkeys(fields)
    return an_aws_class(**left_out)


POOL_MANIFESTS = [
    *spoiled(
        a_pool,
        POOLS,
        INVALID,
        [
            ("spec.poolSize", 0, "spec.poolSize in body should be greater than or equal to 1"),
            ("spec.poolSize", 1001, "spec.poolSize in body should be less than or equal to 1000"),
            ("spec.poolSize", -5, ""),
            ("spec.poolSize", "5", "spec.poolSize in body must be of type integer"),
            ("spec.poolSize", 5.5, ""),
            ("spec.poolSize", 10**400, ""),
            ("spec.poolSize", None, "spec.poolSize"),
            ("spec.minStandby", 6, "minStandby must not be above poolSize"),
            ("spec.minStandby", -1, ""),
            ("spec.minStandby", [], ""),
            ("spec.template", "small", ""),
            ("spec.template", {}, "exactly one of nodeClassRef and aws"),
            ("spec.template.aws", {"instanceType": "m5.large"}, "exactly one of nodeClassRef and aws"),
            ("spec.template.nodeClassRef.kind", "DellNodeClass", ""),
            ("spec.template.nodeClassRef.name", "", ""),
            ("spec.template.labels", {"a": 1}, "spec.template.labels.a"),
            ("spec.template.labels", ["a"], ""),
            ("spec.template.taints", [{"key": "a"}], "spec.template.taints[0].effect"),
            ("spec.template.networkReadinessStrategy", "Hope", ""),
            ("spec.reconciliationInterval", "soon", ""),
            ("spec.maxNodeRuntime", "-1h", ""),
            ("spec.preWarm", [], ""),
            ("spec.preWarm.timeout", "15 minutes", ""),
            ("spec.preWarm.timeout", 15, ""),
            ("spec.preWarm.timeoutAction", "explode", ""),
            ("spec.preWarm.images", [""], "spec.preWarm.images[0]"),
            ("spec.preWarm.imagePullPolicy", "Sometimes", ""),
            ("spec.scaleDown.enabled", "yes", ""),
            ("spec.scaleDown.emptyNodeTTL", "10x", ""),
            ("spec.spotReplacement", {"replacementDelay": "2m"}, "spec.spotReplacement.enabled"),
            ("spec", None, "spec"),
            ("metadata.name", "CI_Runners", ""),
            ("metadata.name", "x" * 254, ""),
        ],
    ),
]

CLASS_MANIFESTS = [
    *spoiled(
        an_aws_class,
        AWS_CLASSES,
        INVALID,
        [
            ("spec.subnetIds", ["subnet-1"], "exactly one of subnetIds and subnetSelector"),
            ("spec.securityGroupIds", ["sg-1"], "exactly one of securityGroupIds and securityGroupSelector"),
            ("spec.iamInstanceProfile", "p", "exactly one of iamInstanceProfile and role"),
            ("spec.bootstrapTemplate", "Windows95", ""),
            ("spec.architecture", "sparc", ""),
            ("spec.instanceType", "", ""),
            ("spec.ami", "image-1", ""),
            ("spec.metadataOptions", {"httpPutResponseHopLimit": 65}, "spec.metadataOptions.httpPutResponseHopLimit"),
            ("spec.blockDeviceMappings", [{"deviceName": "/dev/xvda"}], "spec.blockDeviceMappings[0].volumeSize"),
            (
                "spec.blockDeviceMappings",
                [{"deviceName": "/dev/xvda", "volumeSize": "200"}],
                "spec.blockDeviceMappings[0].volumeSize",
            ),
            ("spec.spotConfig", {"instanceTypes": []}, "spec.spotConfig.instanceTypes"),
            ("spec.kubelet", {"maxPods": 0}, "spec.kubelet.maxPods"),
        ],
    ),
    *(
        post(f"AWSNodeClass without {first} and {second}", AWS_CLASSES, _without(first, second),
             INVALID, f"exactly one of {first} and {second}")
        for first, second in (
            ("subnetIds", "subnetSelector"),
            ("securityGroupIds", "securityGroupSelector"),
            ("iamInstanceProfile", "role"),
        )
    ),
    *spoiled(
        a_sim_class,
        SIM_CLASSES,
        INVALID,
        [("spec.bootTime", "quickly", ""), ("spec.zones", "us-east-1a", ""), ("spec.diskSize", 0, "")],
    ),
]  # fmt: skip

BUILT_IN_MANIFESTS = [
    *spoiled(
        a_pod,
        PODS,
        INVALID,
        [
            ("spec.restartPolicy", "Sometimes", ""),
            ("spec.containers.0.name", "Main_Container", "spec.containers[0].name"),
            ("spec.containers.0.imagePullPolicy", "Perhaps", "spec.containers[0].imagePullPolicy"),
            ("spec.containers.0.ports", [{"containerPort": 70000}], "spec.containers[0].ports[0].containerPort"),
            ("spec.containers.0.resources", {"requests": {"cpu": "-1"}}, "spec.containers[0].resources.requests"),
            (
                "spec.containers.0.resources",
                {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
                "must be less than or equal to cpu limit",
            ),
            ("spec.containers", [{"name": "a", "image": "x"}, {"name": "a", "image": "y"}], "spec.containers[1].name"),
            ("spec.tolerations", [{"operator": "Exists", "value": "x"}], "spec.tolerations[0]"),
            ("spec.terminationGracePeriodSeconds", -1, "spec.terminationGracePeriodSeconds"),
            ("spec.volumes", [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}], "spec.volumes[0]"),
            ("metadata.labels", {"a b": "c"}, "metadata.labels"),
            ("metadata.labels", {"a": "-b-"}, "metadata.labels"),
            ("metadata.annotations", {"a/b/c": "d"}, "metadata.annotations"),
            ("metadata.annotations", {"a": "x" * 300_000}, "metadata.annotations"),
            ("metadata.finalizers", ["a b"], "metadata.finalizers"),
        ],
    ),
    *spoiled(
        lambda: a_deployment("new"),
        DEPLOYMENTS,
        INVALID,
        [
            ("spec.replicas", -1, ""),
            ("spec.selector", {}, "spec.selector"),
            ("spec.selector", {"matchLabels": {"app": "other"}}, "spec.template.metadata.labels"),
            ("spec.selector", {"matchExpressions": [{"key": "a", "operator": "Near"}]}, "spec.selector"),
            ("spec.strategy", {"type": "Slowly"}, "spec.strategy.type"),
            ("spec.template.spec.restartPolicy", "Never", ""),
        ],
    ),
    post("a secret that is not base64", f"{NAMESPACE}/secrets",
         {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "%%%"}}, INVALID, "data.a"),
    post("a service without ports", f"{NAMESPACE}/services",
         {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {}}, INVALID, "spec.ports"),
    post("a CronJob of no schedule", "/apis/batch/v1/namespaces/default/cronjobs",
         {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": {
             "schedule": "every day", "jobTemplate": {"spec": {"template": {"spec": {
                 "restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}}}}}, INVALID, "spec.schedule"),
    post("a budget with both limits", "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
         {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"},
          "spec": {"minAvailable": 1, "maxUnavailable": 1, "selector": {}}}, INVALID, "minAvailable"),
    post("a binding to a role of no kind", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
         {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "b"},
          "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "x"}}, INVALID, "roleRef.kind"),
]  # fmt: skip

WRONG_TYPES = [
    *spoiled(lambda: a_deployment("new"), DEPLOYMENTS, BAD, [("spec.replicas", "three", "spec.replicas")]),
    *spoiled(lambda: a_pod("new"), PODS, BAD, [("spec.containers", "none", ""), ("spec.hostNetwork", "yes", "")]),
    *spoiled(lambda: a_config_map("new"), CONFIG_MAPS, BAD, [("data", ["a"], ""), ("data.a", 1, "")]),
    Bad("Deployment replaced with spec.replicas = {}", "PUT", f"{DEPLOYMENTS}/web", BAD, "spec.replicas",
        {"body": changed(a_deployment("web"), "spec.replicas", {})}),
]  # fmt: skip

UNKNOWN_FIELDS = [
    post(f"{title} with an unknown field, strictly", path, body, BAD, says, fieldValidation="Strict")
    for title, path, body, says in (
        ("a pool", POOLS, a_pool(poolsize=5), 'unknown field "spec.poolsize"'),
        ("a pod", PODS, changed(a_pod("new"), "spec.containers.0.imagePolicy", "x"), "spec.containers[0].imagePolicy"),
        ("metadata", CONFIG_MAPS, changed(a_config_map("new"), "metadata.lables", {}), "metadata.lables"),
        ("the top", CONFIG_MAPS, a_config_map("new") | {"date": {}}, 'unknown field "date"'),
    )
]

BODIES = [
    post("broken JSON", POOLS, b'{"apiVersion": ', BAD, "not JSON"),
    post("a comma too many", POOLS, b'{"a": 1,}', BAD, "not JSON"),
    post("two documents", POOLS, b"{} {}", BAD, "not JSON"),
    post("JSON with a NUL", CONFIG_MAPS, b'{"a": "\x00"}', BAD, "not JSON"),
    post("half a character", CONFIG_MAPS, b'{"a": "\\ud800"}', BAD, "not UTF-8"),
    post("Latin-1", CONFIG_MAPS, '{"a": "ü"}'.encode("latin-1"), BAD, "UTF-8"),
    post("UTF-16", CONFIG_MAPS, '{"a": 1}'.encode("utf-16"), BAD, "UTF-8"),
    post("Infinity", CONFIG_MAPS, b'{"a": Infinity}', BAD, "Infinity"),
    post("a number beyond all", CONFIG_MAPS, b'{"a": 1e999}', BAD, "1e999"),
    post("an integer of 100,000 digits", CONFIG_MAPS, b'{"a": ' + b"9" * 100_000 + b"}", BAD, "digits"),
    post("10,000 levels", CONFIG_MAPS, _deep(10_000), BAD, "nested too deeply"),
    post("10,000 levels of YAML", CONFIG_MAPS, _deep(10_000), BAD, "nested too deeply",
         content_type="application/yaml"),
    post("four million bytes", CONFIG_MAPS, json.dumps(a_config_map("new", data={"a": "x" * 4_000_000})).encode(),
         TOO_LARGE, "limit is 3145728"),
    post("broken YAML", POOLS, b"spec: {poolSize: 1", BAD, "not YAML", content_type="application/yaml"),
    post("YAML with tabs", POOLS, b"a:\n\t- b", BAD, "not YAML", content_type="application/yaml"),
    post("YAML that makes objects", POOLS, b"!!python/object/apply:os.system ['true']", BAD, "YAML",
         content_type="application/yaml"),
    post("YAML that multiplies", POOLS,
         b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
             b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in b"bcdefghij"),
         BAD, "YAML", content_type="application/yaml"),
    post("YAML of nothing", POOLS, b"# only a remark\n", BAD, "", content_type="application/yaml"),
    post("a form", POOLS, b"a=b", UNKNOWN_TYPE, "application/json", content_type="application/x-www-form-urlencoded"),
    post("protobuf of our own kind", POOLS, b"k8s\x00", UNKNOWN_TYPE, "application/json",
         content_type="application/vnd.kubernetes.protobuf"),
    post("protobuf that is cut off", PODS, b"k8s\x00\x0a\x7f", BAD, "protobuf",
         content_type="application/vnd.kubernetes.protobuf"),
    post("a list of pools", POOLS, {"apiVersion": "v1", "kind": "List", "items": [a_pool()]}, BAD, "the data (v1)"),
    post("a key given twice, strictly", CONFIG_MAPS, b'{"apiVersion":"v1","kind":"ConfigMap","kind":"ConfigMap"}', BAD,
         'duplicate field "kind"', fieldValidation="Strict"),
    post("another kind", CONFIG_MAPS, a_pod("new"), BAD, "kind in the data (Pod)"),
    post("control characters in a name", CONFIG_MAPS, a_config_map("a\tb\x07"), INVALID, "metadata.name"),
    post("a path as a name", CONFIG_MAPS, a_config_map("../../secrets/root"), INVALID, "metadata.name"),
    post("a name in another namespace", CONFIG_MAPS, changed(a_config_map("x"), "metadata.namespace", "other"), BAD,
         "namespace"),
    post("a namespace for a pool", POOLS, changed(a_pool(), "metadata.namespace", "kube-system"), BAD, "namespace"),
]  # fmt: skip

PATCHES = [
    patch("a JSON patch that is no list", f"{PODS}/web-0", JSON_PATCH, {"op": "add"}, BAD, "JSON patch"),
    patch("a JSON patch without a path", f"{PODS}/web-0", JSON_PATCH, [{"op": "remove"}], BAD, "path"),
    patch("a JSON patch to nowhere", f"{POOLS}/ci", JSON_PATCH, [{"op": "remove", "path": "/spec/none"}], INVALID,
          "/spec/none"),
    patch("a JSON patch past the end", f"{PODS}/web-0", JSON_PATCH,
          [{"op": "replace", "path": "/spec/containers/7", "value": {}}], INVALID, "/spec/containers/7"),
    patch("a JSON patch of a strange index", f"{PODS}/web-0", JSON_PATCH,
          [{"op": "add", "path": "/spec/containers/-1", "value": {}}], INVALID, "/spec/containers/-1"),
    patch("a JSON patch of a relative path", f"{PODS}/web-0", JSON_PATCH,
          [{"op": "add", "path": "spec", "value": 1}], BAD, "path"),
    patch("a JSON patch whose test fails", f"{POOLS}/ci", JSON_PATCH,
          [{"op": "test", "path": "/spec/poolSize", "value": 6}], INVALID, "/spec/poolSize"),
    patch("a JSON patch that breaks a rule", f"{POOLS}/ci", JSON_PATCH,
          [{"op": "replace", "path": "/spec/minStandby", "value": 99}], INVALID, "must not be above poolSize"),
    patch("a merge patch that is text", f"{PODS}/web-0", MERGE_PATCH, b'"text"', BAD, ""),
    patch("a merge patch that is broken", f"{PODS}/web-0", MERGE_PATCH, b'{"a"', BAD, "not JSON"),
    patch("a merge patch that removes what is needed", f"{POOLS}/ci", MERGE_PATCH, {"spec": {"template": None}},
          INVALID, "spec.template"),
    patch("a merge patch of the kind", f"{POOLS}/ci", MERGE_PATCH, {"kind": "SimNodeClass"}, BAD, "SimNodeClass"),
    patch("a merge patch of a stale version", f"{POOLS}/ci", MERGE_PATCH,
          {"metadata": {"resourceVersion": "1"}, "spec": {"poolSize": 9}}, CONFLICT, "the object has been modified"),
    patch("a strategic patch of our own kind", f"{POOLS}/ci", STRATEGIC_PATCH, {"spec": {}}, UNKNOWN_TYPE,
          "application/merge-patch+json"),
    patch("a strategic patch without the merge key", f"{PODS}/web-0", STRATEGIC_PATCH,
          {"spec": {"containers": [{"image": "x"}]}}, INVALID, "name"),
    patch("a strategic patch of an unknown directive", f"{PODS}/web-0", STRATEGIC_PATCH,
          {"spec": {"$patch": "explode"}}, BAD, "explode"),
    patch("an applied pool of the wrong name", f"{POOLS}/ci", APPLY, a_pool("other"), BAD, "name", fieldManager="me"),
    patch("an applied pool with its managers", f"{POOLS}/ci", APPLY,
          changed(a_pool("ci"), "metadata.managedFields", [{"manager": "x"}]), BAD, "managedFields", fieldManager="me"),
    patch("an applied pool without a manager", f"{POOLS}/ci", APPLY, a_pool("ci"), INVALID, "fieldManager"),
    patch("an applied pool that is no YAML", f"{POOLS}/ci", APPLY, b"a: [", BAD, "YAML", fieldManager="me"),
    patch("an applied pool that breaks a rule", f"{POOLS}/ci", APPLY, a_pool("ci", minStandby=9), INVALID,
          "minStandby must not be above poolSize", fieldManager="me", force="true"),
    patch("an applied pool that starts a conflict", f"{POOLS}/ci", APPLY, a_pool("ci", poolSize=7), CONFLICT,
          ".spec.poolSize", fieldManager="me"),
    patch("a patch of nothing that exists", f"{POOLS}/none", MERGE_PATCH, {}, MISSING, 'nodepools.stratos.sh "none"'),
    patch("a patch of an unknown type", f"{POOLS}/ci", "text/plain", {}, UNKNOWN_TYPE, "application/json-patch+json"),
]  # fmt: skip

QUERIES = [
    get("limit=-1", POOLS, BAD, "limit", limit="-1"),
    get("limit=1e3", POOLS, BAD, "limit", limit="1e3"),
    get("limit=٣", POOLS, BAD, "limit", limit="٣"),
    get("timeoutSeconds=x", POOLS, BAD, "timeoutSeconds", watch="true", timeoutSeconds="x"),
    get("watch=maybe", POOLS, BAD, "watch", watch="maybe"),
    get("continue=nonsense", POOLS, BAD, "continue", **{"continue": "bm9uc2Vuc2U"}),
    get("continue of another list", POOLS, BAD, "continue", **{"continue": "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ"}),
    get("a bad label selector", POOLS, BAD, "'a in (b'", labelSelector="a in (b"),
    get("a label key that is none", POOLS, BAD, "'a/b/c' is not a label key", labelSelector="a/b/c=d"),
    get("an unknown field selector", POOLS, BAD, "spec.poolSize", fieldSelector="spec.poolSize=5"),
    get("resourceVersion=newest", POOLS, BAD, "resourceVersion", resourceVersion="newest"),
    get("resourceVersion=-1", POOLS, BAD, "resourceVersion", resourceVersion="-1"),
    get("a version from the future", POOLS, TIMEOUT, "Too large resource version", resourceVersion="999999999"),
    get("a version of 100 digits", POOLS, BAD, "resourceVersion", resourceVersion="9" * 100),
    get("an object of a bad version", f"{POOLS}/ci", BAD, "resourceVersion", resourceVersion="x"),
    get("a table of what nobody knows", POOLS, BAD, "includeObject",
        accept="application/json;as=Table;v=v1;g=meta.k8s.io", includeObject="Everything"),
    get("a form that is not served", POOLS, (406, "NotAcceptable"), "application/json", accept="application/xml"),
    Bad("gracePeriodSeconds=abc", "DELETE", f"{PODS}/web-0", BAD, "gracePeriodSeconds", {"gracePeriodSeconds": "abc"}),
    Bad("propagationPolicy=Sideways", "DELETE", f"{PODS}/web-0", INVALID, "propagationPolicy",
        {"propagationPolicy": "Sideways"}),
    Bad("a deletion of somebody else's", "DELETE", f"{PODS}/web-0", CONFLICT, "UID in precondition",
        {"body": {"preconditions": {"uid": "0"}}}),
    Bad("a deletion with a bad selector", "DELETE", PODS, BAD, "label selector", {"labelSelector": "=="}),
    post("dryRun=Perhaps", POOLS, a_pool(), BAD, "dryRun", dryRun="Perhaps"),
    post("fieldValidation=Loud", POOLS, a_pool(), BAD, "fieldValidation", fieldValidation="Loud"),
    post("a manager's name without end", POOLS, a_pool(), INVALID, "fieldManager", fieldManager="x" * 129),
    patch("force=really", f"{POOLS}/ci", APPLY, a_pool("ci"), BAD, "force", fieldManager="me", force="really"),
    get("a log of as many lines as there are", f"{PODS}/web-0/log", BAD, "tailLines", tailLines="all"),
    get("a log since whenever", f"{PODS}/web-0/log", BAD, "sinceTime", sinceTime="yesterday"),
]  # fmt: skip

PATHS = [
    get("an unknown group", "/apis/stratos.example/v1/nodepools", MISSING, "could not find"),
    get("an unknown version", "/apis/stratos.sh/v9/nodepools", MISSING, "could not find"),
    get("an unknown kind", f"{STRATOS}/nodepuddles", MISSING, "could not find"),
    get("a pool in a namespace", f"{STRATOS}/namespaces/default/nodepools", MISSING, "could not find"),
    get("a pool that is not there", f"{POOLS}/none", MISSING, 'nodepools.stratos.sh "none" not found'),
    get("a subresource that is not there", f"{POOLS}/ci/scale", MISSING, "could not find"),
    get("a path that climbs", "/api/v1/namespaces/../secrets", MISSING, ""),
    get("a name that climbs", f"{PODS}/..%2F..%2Fsecrets", MISSING, ""),
    get("a name with a NUL", f"{PODS}/a\x00b", MISSING, ""),
    get("a path that is too long for sense", "/api/v1/" + "a/" * 5000, MISSING, ""),
    get("a file of the host", "/../../etc/passwd", MISSING, ""),
    Bad("a method that is none", "BREW", f"{POOLS}/ci", NOT_ALLOWED, "method"),
    Bad("OPTIONS", "OPTIONS", POOLS, NOT_ALLOWED, "method"),
    post("a POST to one object", f"{POOLS}/ci", a_pool("ci"), NOT_ALLOWED, "method"),
    Bad("a PUT to a list", "PUT", POOLS, NOT_ALLOWED, "method", {"body": a_pool()}),
    post("a pool that exists", POOLS, a_pool("ci"), TAKEN, 'nodepools.stratos.sh "ci" already exists'),
    Bad("a PUT of another name", "PUT", f"{POOLS}/ci", BAD, "name", {"body": a_pool("other")}),
    Bad("a PUT of nothing that exists", "PUT", f"{POOLS}/none", MISSING, "none", {"body": a_pool("none")}),
    Bad("a PUT of a stale version", "PUT", f"{POOLS}/ci", CONFLICT, "the object has been modified",
        {"body": changed(a_pool("ci"), "metadata.resourceVersion", "1")}),
    Bad("a PUT of a version that is no number", "PUT", f"{POOLS}/ci", CONFLICT, "the object has been modified",
        {"body": changed(a_pool("ci"), "metadata.resourceVersion", "first")}),
    post("an object where no namespace is", "/api/v1/namespaces/none/configmaps", a_config_map("x"), MISSING,
         'namespaces "none" not found'),
]  # fmt: skip


def an_eviction(name: str) -> Obj:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}


def a_binding(name: str, target: Obj) -> Obj:
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}


def a_scale(name: str, replicas: Any) -> Obj:
    return {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": name}, "spec": {"replicas": replicas}}


SUBRESOURCES = [
    post("an eviction of nobody", f"{PODS}/none/eviction", an_eviction("none"), MISSING, 'pods "none" not found'),
    post("an eviction that is a pod", f"{PODS}/web-0/eviction", a_pod("web-0"), BAD, "(policy/v1)"),
    post("an eviction with odd options", f"{PODS}/web-0/eviction",
         an_eviction("web-0") | {"deleteOptions": 5}, BAD, "deleteOptions"),
    post("a binding to nothing", f"{PODS}/web-0/binding",
         a_binding("web-0", {}), INVALID, "target.name"),
    post("a binding to a pod", f"{PODS}/web-0/binding",
         a_binding("web-0", {"kind": "Pod", "name": "x"}), INVALID, "target.kind"),
    post("a binding of nobody", f"{PODS}/none/binding",
         a_binding("none", {"kind": "Node", "name": "n1"}), MISSING, 'pods "none" not found'),
    Bad("a scale below zero", "PUT", f"{DEPLOYMENTS}/web/scale", INVALID, "spec.replicas",
        {"body": a_scale("web", -1)}),
    Bad("a scale of text", "PUT", f"{DEPLOYMENTS}/web/scale", BAD, "spec.replicas",
        {"body": a_scale("web", "x")}),
    Bad("a scale of another", "PUT", f"{DEPLOYMENTS}/web/scale", BAD, "name",
        {"body": a_scale("other", 1)}),
    patch("a scale patched to text", f"{DEPLOYMENTS}/web/scale", MERGE_PATCH, {"spec": {"replicas": "many"}}, BAD,
          "spec.replicas"),
    Bad("a status of the wrong shape", "PUT", f"{POOLS}/ci/status", INVALID, "status.standby",
        {"body": a_pool("ci") | {"status": {"standby": "two"}}}),
    patch("a condition of no type", f"{POOLS}/ci/status", MERGE_PATCH, {"status": {"conditions": [{"status": "True"}]}},
          INVALID, "status.conditions[0].type"),
    post("a token of the wrong shape", f"{NAMESPACE}/serviceaccounts/none/token",
         {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": 5}, BAD, "spec"),
    post("a review of nothing", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
         {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {}}, INVALID, "spec"),
    Bad("a namespace finalized by halves", "PUT", "/api/v1/namespaces/default/finalize", BAD, "name",
        {"body": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}, "spec": {"finalizers": []}}}),
]  # fmt: skip


def a_definition(**spec: Any) -> Obj:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            **spec,
        },
    }


DEFINED = [
    *spoiled(
        a_definition,
        DEFINITIONS,
        INVALID,
        [
            ("metadata.name", "gadgets.example.com", "metadata.name"),
            ("spec.scope", "Galaxy", ""),
            ("spec.group", "Example Com", "spec.group"),
            ("spec.versions", [], "spec.versions"),
            ("spec.versions.0.storage", False, "storage"),
            ("spec.versions.0.name", "first version", "spec.versions[0].name"),
            ("spec.versions.0.schema", {}, "spec.versions[0].schema"),
            (
                "spec.versions.0.schema.openAPIV3Schema.properties.spec",
                {"type": "object", "properties": {"a": {}}},
                "type: Required value",
            ),
            (
                "spec.versions.0.schema.openAPIV3Schema.properties.spec",
                {"type": "strnig"},
                "spec.versions[0].schema.openAPIV3Schema.properties[spec].type",
            ),
            (
                "spec.versions.0.schema.openAPIV3Schema.properties.spec",
                {"type": "string", "pattern": "("},
                "spec.versions[0].schema.openAPIV3Schema.properties[spec].pattern",
            ),
            (
                "spec.versions.0.schema.openAPIV3Schema.properties.spec",
                {"type": "object", "x-kubernetes-validations": [{"rule": "self.("}]},
                "x-kubernetes-validations[0].rule",
            ),
            (
                "spec.versions.0.schema.openAPIV3Schema.properties.spec",
                {"type": "integer", "default": "one"},
                "default",
            ),
            ("spec.versions.0.additionalPrinterColumns", [{"name": "A", "type": "string"}], "jsonPath"),
        ],
    ),
]

STRANGERS = [
    Bad(f"somebody without rights: {method} {path}", method, path, FORBIDDEN, f'User "nobody" cannot {verb}',
        {"token": NOBODY, **({"body": body} if body else {})})
    for method, path, verb, body in (
        ("GET", POOLS, 'list resource "nodepools" in API group "stratos.sh" at the cluster scope', None),
        ("GET", f"{PODS}/web-0", 'get resource "pods" in API group "" in the namespace "default"', None),
        ("POST", POOLS, 'create resource "nodepools"', a_pool()),
        ("PUT", f"{POOLS}/ci", 'update resource "nodepools"', a_pool("ci")),
        ("PATCH", f"{POOLS}/ci/status", 'patch resource "nodepools/status"', {}),
        ("DELETE", f"{NODES}/n1", 'delete resource "nodes"', None),
        ("DELETE", PODS, 'deletecollection resource "pods"', None),
        ("POST", f"{PODS}/web-0/eviction", 'create resource "pods/eviction"', {}),
        ("GET", f"{PODS}/web-0/log", 'get resource "pods/log"', None),
        ("GET", "/metrics", 'get path "/metrics"', None),
    )
] + [
    Bad("a token that is none", "GET", POOLS, (401, "Unauthorized"), "Unauthorized", {"token": "guess"}),
    Bad("no token", "POST", POOLS, (401, "Unauthorized"), "Unauthorized", {"token": "", "body": a_pool()}),
    Bad("a token of strange letters", "GET", POOLS, (401, "Unauthorized"), "Unauthorized", {"token": "a.b.c"}),
    Bad("a password", "GET", POOLS, (401, "Unauthorized"), "Unauthorized",
        {"token": "", "headers": {"authorization": "Basic YWRtaW46YWRtaW4="}}),
]  # fmt: skip

ALL = (
    *POOL_MANIFESTS,
    *CLASS_MANIFESTS,
    *BUILT_IN_MANIFESTS,
    *WRONG_TYPES,
    *UNKNOWN_FIELDS,
    *BODIES,
    *PATCHES,
    *QUERIES,
    *PATHS,
    *SUBRESOURCES,
    *DEFINED,
    *STRANGERS,
)
