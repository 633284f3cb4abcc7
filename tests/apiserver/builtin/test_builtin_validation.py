"""Malformed manifests of built-in kinds: each is refused with the field and the reason a real server names."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from stratos.apiserver.registry.builtin import builtin_resources
from stratos.apiserver.registry.resource import Resource

Obj = dict[str, Any]

RESOURCES: dict[str, Resource] = {resource.kind: resource for resource in builtin_resources()}

REQUIRED, INVALID, UNSUPPORTED = "FieldValueRequired", "FieldValueInvalid", "FieldValueNotSupported"
DUPLICATE, FORBIDDEN, NOT_FOUND = "FieldValueDuplicate", "FieldValueForbidden", "FieldValueNotFound"


def a_container(**fields: Any) -> Obj:
    return {"name": "main", "image": "nginx:1.27", **fields}


def a_pod(*, container: Obj | None = None, **spec: Any) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": [container or a_container()], **spec},
    }


def a_workload(kind: str, **spec: Any) -> Obj:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [a_container()]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


def a_job(pod: Obj | None = None, **spec: Any) -> Obj:
    template = {"spec": {"containers": [a_container()], "restartPolicy": "Never", **(pod or {})}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": "default", "uid": "u-1"},
        "spec": {"template": template, **spec},
    }


def a_cron_job(**spec: Any) -> Obj:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly", "namespace": "default"},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": a_job()["spec"]}, **spec},
    }


def a_service(**spec: Any) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"ports": [{"port": 80}], **spec},
    }


def an_object(kind: str, api_version: str = "v1", name: str = "thing", /, **fields: Any) -> Obj:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "default"}, **fields}


def a_webhook(**fields: Any) -> Obj:
    webhook = {
        "name": "check.example.com",
        "clientConfig": {"url": "https://127.0.0.1:9443/check"},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **fields,
    }
    api_version = "admissionregistration.k8s.io/v1"
    return an_object("ValidatingWebhookConfiguration", api_version, webhooks=[webhook])


def problems_of(manifest: Obj) -> list[tuple[str, str, str]]:
    """What the kind objects to once it has filled in its defaults, as on every write."""
    resource, obj = RESOURCES[manifest["kind"]], copy.deepcopy(manifest)
    resource.default(obj)
    return [(problem.field, problem.reason, problem.message) for problem in resource.validate(obj)]


GOOD = [
    a_pod(),
    *(a_workload(kind) for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")),
    a_job(),
    a_cron_job(),
    a_service(),
    a_service(clusterIP="None", ports=[]),
    a_webhook(),
    an_object("ConfigMap", data={"a.conf": "x"}),
    an_object("Secret", stringData={"password": "x"}),
    an_object("PodDisruptionBudget", "policy/v1", spec={"minAvailable": "50%"}),
    an_object("PriorityClass", "scheduling.k8s.io/v1", value=1000),
    an_object("Lease", "coordination.k8s.io/v1", spec={"leaseDurationSeconds": 15}),
    an_object("Namespace"),
    an_object("Node", spec={"taints": [{"key": "gpu", "effect": "NoSchedule"}]}),
    an_object("Role", "rbac.authorization.k8s.io/v1", "a:Role", rules=[]),
]


@pytest.mark.parametrize("manifest", GOOD, ids=lambda manifest: str(manifest["kind"]))
def test_an_ordinary_manifest_is_accepted(manifest: Obj) -> None:
    """The manifests the malformed ones are made from are fine: whatever is refused below is refused for its flaw."""
    assert problems_of(manifest) == []


TOLERATION = "spec.tolerations[0]"
NODE_TERMS = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


def with_node_term(**expression: Any) -> Obj:
    terms = [{"matchExpressions": [expression]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return a_pod(affinity={"nodeAffinity": required})


POD_FLAWS: list[tuple[Obj, str, str, str]] = [
    (a_pod() | {"metadata": {"name": "Web"}}, "metadata.name", INVALID, "a lowercase RFC 1123 subdomain"),
    (a_pod() | {"metadata": {"name": "a" * 254}}, "metadata.name", INVALID, "must be no more than 253 bytes"),
    (a_pod() | {"metadata": {}}, "metadata.name", REQUIRED, "name or generateName is required"),
    (
        a_pod() | {"metadata": {"name": "web", "labels": {"-x": "1"}}},
        "metadata.labels",
        INVALID,
        "name part must consist of alphanumeric characters",
    ),
    (
        a_pod() | {"metadata": {"name": "web", "labels": {"x": "a b"}}},
        "metadata.labels",
        INVALID,
        "a valid label must be an empty string or consist of",
    ),
    (
        a_pod() | {"metadata": {"name": "web", "annotations": {"big": "x" * 300_000}}},
        "metadata.annotations",
        "FieldValueTooLong",
        "Too long: may not be more than 262144 bytes",
    ),
    (a_pod(containers=[]), "spec.containers", REQUIRED, "Required value"),
    (an_object("Pod"), "spec.containers", REQUIRED, "Required value"),
    (a_pod(container={"image": "nginx"}), "spec.containers[0].name", REQUIRED, "Required value"),
    (a_pod(container=a_container(name="Main")), "spec.containers[0].name", INVALID, "a lowercase RFC 1123 label"),
    (a_pod(container={"name": "main"}), "spec.containers[0].image", REQUIRED, "Required value"),
    (
        a_pod(container=a_container(image=" nginx")),
        "spec.containers[0].image",
        INVALID,
        "must not have leading or trailing whitespace",
    ),
    (
        a_pod(containers=[a_container(), a_container()]),
        "spec.containers[1].name",
        DUPLICATE,
        'Duplicate value: "main"',
    ),
    (
        a_pod(container=a_container(imagePullPolicy="Sometimes")),
        "spec.containers[0].imagePullPolicy",
        UNSUPPORTED,
        'Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
    ),
    (
        a_pod(container=a_container(resources={"requests": {"cpu": "lots"}})),
        "spec.containers[0].resources.requests[cpu]",
        INVALID,
        "quantities must match the regular expression",
    ),
    (
        a_pod(container=a_container(resources={"requests": {"memory": "-1Gi"}})),
        "spec.containers[0].resources.requests[memory]",
        INVALID,
        "must be greater than or equal to 0",
    ),
    (
        a_pod(container=a_container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}})),
        "spec.containers[0].resources.requests",
        INVALID,
        'Invalid value: "2": must be less than or equal to cpu limit of 1',
    ),
    (
        a_pod(container=a_container(resources={"requests": {"nvidia.com/gpu": "1"}})),
        "spec.containers[0].resources.limits",
        REQUIRED,
        "Limit must be set for non overcommitable resources",
    ),
    (
        a_pod(container=a_container(resources={"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": 2}})),
        "spec.containers[0].resources.requests",
        INVALID,
        "must be equal to nvidia.com/gpu limit of 2",
    ),
    (
        a_pod(container=a_container(resources={"requests": {"disk": "1"}})),
        "spec.containers[0].resources.requests[disk]",
        INVALID,
        "must be a standard resource for containers",
    ),
    (
        a_pod(container=a_container(ports=[{"containerPort": 70000}])),
        "spec.containers[0].ports[0].containerPort",
        INVALID,
        "must be between 1 and 65535, inclusive",
    ),
    (
        a_pod(container=a_container(ports=[{"containerPort": 80, "protocol": "HTTP"}])),
        "spec.containers[0].ports[0].protocol",
        UNSUPPORTED,
        'supported values: "SCTP", "TCP", "UDP"',
    ),
    (
        a_pod(containers=[a_container(name=n, ports=[{"containerPort": 80, "hostPort": 80}]) for n in ("a", "b")]),
        "spec.containers[1].ports[0].hostPort",
        DUPLICATE,
        "Duplicate value: 80",
    ),
    (
        a_pod(container=a_container(env=[{"name": "A=B", "value": "x"}])),
        "spec.containers[0].env[0].name",
        INVALID,
        "a valid environment variable name",
    ),
    (
        a_pod(container=a_container(env=[{"name": "A", "valueFrom": {}}])),
        "spec.containers[0].env[0].valueFrom",
        INVALID,
        "must specify one of: `fieldRef`",
    ),
    (
        a_pod(container=a_container(volumeMounts=[{"name": "data", "mountPath": "/data"}])),
        "spec.containers[0].volumeMounts[0].name",
        NOT_FOUND,
        'Not found: "data"',
    ),
    (a_pod(volumes=[{"name": "d"}, {"name": "d"}]), "spec.volumes[1].name", DUPLICATE, 'Duplicate value: "d"'),
    (
        a_pod(volumes=[{"name": "d", "emptyDir": {}, "hostPath": {"path": "/x"}}]),
        "spec.volumes[0].hostPath",
        FORBIDDEN,
        "may not specify more than 1 volume type",
    ),
    (
        a_pod(volumes=[{"name": "d", "persistentVolumeClaim": {}}]),
        "spec.volumes[0].persistentVolumeClaim.claimName",
        REQUIRED,
        "Required value",
    ),
    (
        a_pod(container=a_container(livenessProbe={"periodSeconds": 5})),
        "spec.containers[0].livenessProbe",
        REQUIRED,
        "must specify a handler type",
    ),
    (
        a_pod(container=a_container(readinessProbe={"httpGet": {"port": 0}})),
        "spec.containers[0].readinessProbe.httpGet.port",
        INVALID,
        "must be between 1 and 65535, inclusive",
    ),
    (
        a_pod(container=a_container(livenessProbe={"tcpSocket": {"port": 80}, "successThreshold": 2})),
        "spec.containers[0].livenessProbe.successThreshold",
        INVALID,
        "must be 1",
    ),
    (
        a_pod(initContainers=[a_container(name="init", livenessProbe={"tcpSocket": {"port": 80}})]),
        "spec.initContainers[0].livenessProbe",
        FORBIDDEN,
        "may not be set for init containers without restartPolicy=Always",
    ),
    (
        a_pod(restartPolicy="Sometimes"),
        "spec.restartPolicy",
        UNSUPPORTED,
        'supported values: "Always", "Never", "OnFailure"',
    ),
    (a_pod(dnsPolicy="Cluster"), "spec.dnsPolicy", UNSUPPORTED, "ClusterFirstWithHostNet"),
    (a_pod(terminationGracePeriodSeconds=-1), "spec.terminationGracePeriodSeconds", INVALID, "greater than or equal"),
    (a_pod(activeDeadlineSeconds=0), "spec.activeDeadlineSeconds", INVALID, "must be between 1 and 2147483647"),
    (a_pod(nodeSelector={"zone": "a b"}), "spec.nodeSelector", INVALID, "a valid label must be"),
    (
        a_pod(tolerations=[{"operator": "Equal", "value": "x"}]),
        f"{TOLERATION}.operator",
        INVALID,
        'which means "match all values and all keys"',
    ),
    (
        a_pod(tolerations=[{"key": "k", "operator": "Exists", "value": "x"}]),
        f"{TOLERATION}.operator",
        INVALID,
        "value must be empty when `operator` is 'Exists'",
    ),
    (a_pod(tolerations=[{"key": "k", "operator": "In"}]), f"{TOLERATION}.operator", UNSUPPORTED, '"Equal", "Exists"'),
    (
        a_pod(tolerations=[{"key": "k", "effect": "Never"}]),
        f"{TOLERATION}.effect",
        UNSUPPORTED,
        '"NoExecute", "NoSchedule", "PreferNoSchedule"',
    ),
    (
        a_pod(tolerations=[{"key": "k", "effect": "NoSchedule", "tolerationSeconds": 5}]),
        f"{TOLERATION}.effect",
        INVALID,
        "effect must be 'NoExecute' when `tolerationSeconds` is set",
    ),
    (
        a_pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}),
        NODE_TERMS,
        REQUIRED,
        "must have at least one node selector term",
    ),
    (
        with_node_term(key="zone", operator="In"),
        f"{NODE_TERMS}[0].matchExpressions[0].values",
        REQUIRED,
        "must be specified when `operator` is 'In' or 'NotIn'",
    ),
    (
        with_node_term(key="zone", operator="Near", values=["a"]),
        f"{NODE_TERMS}[0].matchExpressions[0].operator",
        INVALID,
        'Invalid value: "Near": not a valid selector operator',
    ),
    (
        with_node_term(key="cpus", operator="Gt", values=["1", "2"]),
        f"{NODE_TERMS}[0].matchExpressions[0].values",
        REQUIRED,
        "must be specified single value when `operator` is 'Lt' or 'Gt'",
    ),
    (
        a_pod(affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}),
        "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey",
        REQUIRED,
        "can not be empty",
    ),
    (
        a_pod(topologySpreadConstraints=[{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]),
        "spec.topologySpreadConstraints[0].maxSkew",
        INVALID,
        "must be greater than zero",
    ),
    (
        a_pod(topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "Never"}]),
        "spec.topologySpreadConstraints[0].whenUnsatisfiable",
        UNSUPPORTED,
        '"DoNotSchedule", "ScheduleAnyway"',
    ),
    (
        a_pod(schedulingGates=[{"name": "wait"}], nodeName="node-1"),
        "spec.nodeName",
        FORBIDDEN,
        "cannot be set until all schedulingGates have been cleared",
    ),
    (a_pod(serviceAccountName="Robot"), "spec.serviceAccountName", INVALID, "a lowercase RFC 1123 subdomain"),
]

WORKLOAD_FLAWS: list[tuple[Obj, str, str, str]] = [
    (a_workload("Deployment", replicas=-1), "spec.replicas", INVALID, "must be greater than or equal to 0"),
    (a_workload("Deployment", selector=None), "spec.selector", REQUIRED, "Required value"),
    (a_workload("Deployment", selector={}), "spec.selector", INVALID, "empty selector is invalid for deployment"),
    (
        a_workload("Deployment", selector={"matchLabels": {"app": "api"}}),
        "spec.template.metadata.labels",
        INVALID,
        'Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ),
    (
        a_workload("ReplicaSet", selector={"matchExpressions": [{"key": "app", "operator": "Is"}]}),
        "spec.selector.matchExpressions[0].operator",
        INVALID,
        "not a valid selector operator",
    ),
    (
        a_workload(
            "DaemonSet",
            template={
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [a_container()], "restartPolicy": "Never"},
            },
        ),
        "spec.template.spec.restartPolicy",
        UNSUPPORTED,
        'Unsupported value: "Never": supported values: "Always"',
    ),
    (
        a_workload("Deployment", strategy={"type": "Recreate", "rollingUpdate": {}}),
        "spec.strategy.rollingUpdate",
        FORBIDDEN,
        "may not be specified when strategy `type` is 'Recreate'",
    ),
    (
        a_workload("Deployment", strategy={"rollingUpdate": {"maxUnavailable": "half"}}),
        "spec.strategy.rollingUpdate.maxUnavailable",
        INVALID,
        "a valid percent string must be a numeric string",
    ),
    (
        a_workload("Deployment", strategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}),
        "spec.strategy.rollingUpdate.maxUnavailable",
        INVALID,
        "may not be 0 when `maxSurge` is 0",
    ),
    (
        a_workload("StatefulSet", podManagementPolicy="Random"),
        "spec.podManagementPolicy",
        UNSUPPORTED,
        '"OrderedReady", "Parallel"',
    ),
    (a_job({"restartPolicy": "Always"}), "spec.template.spec.restartPolicy", REQUIRED, '"OnFailure", "Never"'),
    (a_job(completionMode="Indexed", parallelism=2), "spec.completions", REQUIRED, "when completion mode is Indexed"),
    (a_job(backoffLimit=-1), "spec.backoffLimit", INVALID, "must be greater than or equal to 0"),
    (a_cron_job(schedule="every day"), "spec.schedule", INVALID, "not a cron expression"),
    (a_cron_job(schedule="0 25 * * *"), "spec.schedule", INVALID, "not a cron expression"),
    (a_cron_job(schedule="TZ=UTC 0 3 * * *"), "spec.schedule", INVALID, "use timeZone field instead"),
    (a_cron_job(timeZone="Mars/Olympus"), "spec.timeZone", INVALID, "unknown time zone Mars/Olympus"),
    (a_cron_job(concurrencyPolicy="Maybe"), "spec.concurrencyPolicy", UNSUPPORTED, '"Allow", "Forbid", "Replace"'),
]

OTHER_FLAWS: list[tuple[Obj, str, str, str]] = [
    (a_service() | {"metadata": {"name": "1web"}}, "metadata.name", INVALID, "a DNS-1035 label"),
    (a_service(ports=[]), "spec.ports", REQUIRED, "Required value"),
    (an_object("Service"), "spec.ports", REQUIRED, "Required value"),
    (a_service(type="Cluster"), "spec.type", UNSUPPORTED, '"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'),
    (a_service(ports=[{"port": 0, "targetPort": 80}]), "spec.ports[0].port", INVALID, "must be between 1 and 65535"),
    (a_service(ports=[{"port": 80}, {"port": 443, "name": "tls"}]), "spec.ports[0].name", REQUIRED, "Required value"),
    (
        a_service(ports=[{"port": 80, "nodePort": 30080}]),
        "spec.ports[0].nodePort",
        FORBIDDEN,
        "may not be used when `type` is 'ClusterIP'",
    ),
    (a_service(clusterIP="300.1.1.1"), "spec.clusterIPs[0]", INVALID, "must be a valid IP address"),
    (an_object("Namespace", "v1", "my.space"), "metadata.name", INVALID, "a lowercase RFC 1123 label"),
    (an_object("ConfigMap", data={"a/b": "x"}), "data[a/b]", INVALID, "a valid config key must consist of"),
    (an_object("ConfigMap", data={"a": "x" * 1_100_000}), "", "FieldValueTooLong", "may not be more than 1048576"),
    (an_object("Secret", data={"a": "not base64!"}), "data[a]", INVALID, "must be base64 encoded"),
    (an_object("Secret", type="kubernetes.io/tls", data={"tls.key": ""}), "data[tls.crt]", REQUIRED, "Required value"),
    (
        an_object("PodDisruptionBudget", "policy/v1", spec={"minAvailable": 1, "maxUnavailable": 1}),
        "spec",
        INVALID,
        "minAvailable and maxUnavailable cannot be both set",
    ),
    (
        an_object("PodDisruptionBudget", "policy/v1", spec={"minAvailable": "150%"}),
        "spec.minAvailable",
        INVALID,
        "must not be greater than 100%",
    ),
    (
        an_object("PriorityClass", "scheduling.k8s.io/v1", value=2_000_000_000),
        "value",
        FORBIDDEN,
        "maximum allowed value of a user defined priority is 1000000000",
    ),
    (
        an_object("PriorityClass", "scheduling.k8s.io/v1", "system-mine", value=1),
        "metadata.name",
        FORBIDDEN,
        "reserved for system use only",
    ),
    (
        an_object("Role", "rbac.authorization.k8s.io/v1", rules=[{"apiGroups": [""], "resources": ["pods"]}]),
        "rules[0].verbs",
        REQUIRED,
        "verbs must contain at least one value",
    ),
    (
        an_object(
            "RoleBinding",
            "rbac.authorization.k8s.io/v1",
            roleRef={"kind": "Group", "name": "x"},
            subjects=[{"kind": "User", "name": "ann"}],
        ),
        "roleRef.kind",
        UNSUPPORTED,
        '"ClusterRole", "Role"',
    ),
    (
        an_object(
            "RoleBinding",
            "rbac.authorization.k8s.io/v1",
            roleRef={"kind": "Role", "name": "x"},
            subjects=[{"kind": "ServiceAccount", "name": "robot"}],
        ),
        "subjects[0].namespace",
        REQUIRED,
        "Required value",
    ),
    (
        an_object("Lease", "coordination.k8s.io/v1", spec={"leaseDurationSeconds": 0}),
        "spec.leaseDurationSeconds",
        INVALID,
        "must be greater than 0",
    ),
    (
        an_object("Node", spec={"taints": [{"key": "gpu"}]}),
        "spec.taints[0].effect",
        REQUIRED,
        "Required value",
    ),
    (
        an_object("Node", spec={"taints": [{"key": "gpu", "effect": "NoSchedule"}] * 2}),
        "spec.taints[1]",
        DUPLICATE,
        "Duplicate value",
    ),
    (a_webhook(name="short"), "webhooks[0].name", INVALID, "should be a domain with at least three segments"),
    (a_webhook(sideEffects="Some"), "webhooks[0].sideEffects", UNSUPPORTED, '"None", "NoneOnDryRun"'),
    (a_webhook(timeoutSeconds=31), "webhooks[0].timeoutSeconds", INVALID, "must be between 1 and 30 seconds"),
    (a_webhook(admissionReviewVersions=[]), "webhooks[0].admissionReviewVersions", REQUIRED, "v1, v1beta1"),
    (a_webhook(clientConfig={}), "webhooks[0].clientConfig", REQUIRED, "exactly one of url or service is required"),
    (
        a_webhook(clientConfig={"url": "http://127.0.0.1/"}),
        "webhooks[0].clientConfig.url",
        INVALID,
        "'https' is the only allowed URL scheme",
    ),
    (
        a_webhook(rules=[{"operations": ["READ"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]),
        "webhooks[0].rules[0].operations[0]",
        UNSUPPORTED,
        '"CONNECT", "CREATE", "DELETE", "UPDATE"',
    ),
]

FLAWS = [*POD_FLAWS, *WORKLOAD_FLAWS, *OTHER_FLAWS]


@pytest.mark.parametrize(
    ("manifest", "field", "reason", "message"),
    FLAWS,
    ids=[f"{f[0]['kind']}-{f[1] or 'whole'}-{i}" for i, f in enumerate(FLAWS)],
)
def test_a_flaw_is_named_by_its_field_and_reason(manifest: Obj, field: str, reason: str, message: str) -> None:
    """Whoever wrote the manifest must find the line to mend, and nothing else may be blamed."""
    found = problems_of(manifest)

    assert [(f, r) for f, r, _ in found] == [(field, reason)]
    assert message in found[0][2]


def changes_of(kind: str, old: Obj, new: Obj) -> list[tuple[str, str]]:
    resource = RESOURCES[kind]
    for obj in (old, new):
        resource.default(obj)
    return [(problem.field, problem.reason) for problem in resource.validate_update(new, old)]


def priority(**fields: Any) -> Obj:
    return an_object("PriorityClass", "scheduling.k8s.io/v1", **fields)


CHANGES: list[tuple[str, Obj, Obj, list[tuple[str, str]]]] = [
    ("a new image", a_pod(), a_pod(container=a_container(image="nginx:1.28")), []),
    ("another toleration", a_pod(), a_pod(tolerations=[{"key": "k", "operator": "Exists"}]), []),
    ("a gate taken off", a_pod(schedulingGates=[{"name": "wait"}]), a_pod(schedulingGates=[]), []),
    (
        "a gate put on",
        a_pod(),
        a_pod(schedulingGates=[{"name": "wait"}]),
        [("spec.schedulingGates", FORBIDDEN)],
    ),
    (
        "other resources",
        a_pod(),
        a_pod(container=a_container(resources={"limits": {"cpu": "1"}})),
        [("spec", FORBIDDEN)],
    ),
    ("a node selector", a_pod(), a_pod(nodeSelector={"a": "b"}), [("spec", FORBIDDEN)]),
    (
        "a node selector while gated",
        a_pod(schedulingGates=[{"name": "wait"}]),
        a_pod(schedulingGates=[{"name": "wait"}], nodeSelector={"a": "b"}),
        [],
    ),
    (
        "a wider node selector while gated",
        a_pod(schedulingGates=[{"name": "wait"}], nodeSelector={"a": "b"}),
        a_pod(schedulingGates=[{"name": "wait"}]),
        [("spec.nodeSelector", INVALID)],
    ),
    (
        "another container",
        a_pod(),
        a_pod(containers=[a_container(), a_container(name="b")]),
        [("spec.containers", FORBIDDEN)],
    ),
    (
        "a toleration less",
        a_pod(tolerations=[{"key": "k", "operator": "Exists"}]),
        a_pod(),
        [("spec.tolerations", FORBIDDEN)],
    ),
    ("more replicas", a_workload("Deployment"), a_workload("Deployment", replicas=3), []),
    (
        "another selector",
        a_workload("Deployment"),
        a_workload("Deployment", selector={"matchLabels": {"app": "b"}}),
        [("spec.selector", INVALID)],
    ),
    (
        "another service name",
        a_workload("StatefulSet"),
        a_workload("StatefulSet", serviceName="b"),
        [("spec", FORBIDDEN)],
    ),
    ("more parallel pods", a_job(completions=2), a_job(completions=2, parallelism=2), []),
    ("another job template", a_job(), a_job({"hostNetwork": True}), [("spec.template", INVALID)]),
    (
        "a frozen value",
        an_object("ConfigMap", data={"a": "1"}, immutable=True),
        an_object("ConfigMap", data={"a": "2"}, immutable=True),
        [("data", FORBIDDEN)],
    ),
    ("another secret type", an_object("Secret"), an_object("Secret", type="mine"), [("type", INVALID)]),
    ("another priority", priority(value=1), priority(value=2), [("value", FORBIDDEN)]),
    (
        "another role",
        an_object("RoleBinding", roleRef={"kind": "Role", "name": "a"}),
        an_object("RoleBinding", roleRef={"kind": "Role", "name": "b"}),
        [("roleRef", INVALID)],
    ),
    (
        "another cluster address",
        a_service(clusterIP="10.96.0.20"),
        a_service(clusterIP="10.96.0.21"),
        [("spec.clusterIPs[0]", INVALID)],
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "expected"), [c[1:] for c in CHANGES], ids=[f"{c[1]['kind']}: {c[0]}" for c in CHANGES]
)
def test_what_may_change_and_what_may_not(old: Obj, new: Obj, expected: list[tuple[str, str]]) -> None:
    """Controllers rely on some fields standing still, and users on being able to change the others."""
    assert changes_of(old["kind"], copy.deepcopy(old), copy.deepcopy(new)) == expected


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: str(resource.kind))
@pytest.mark.parametrize("nonsense", [None, "text", 7, [], {"containers": "x", "template": [], "ports": {"a": 1}}])
def test_nonsense_is_judged_not_stumbled_over(resource: Resource, nonsense: object) -> None:
    """Rules run on whatever JSON arrives; the schema complains about shapes, the rules must merely survive them."""
    obj: Obj = {"metadata": {"name": "x"}, "spec": nonsense, "status": nonsense, "data": nonsense, "rules": nonsense}

    resource.default(obj)

    resource.validate(obj)
    resource.validate_update(obj, {"metadata": {"name": "x"}})
