"""Distil the shapes of the built-in kinds into the data file the embedded API server reads.

Run it after a new Kubernetes release: ``python scripts/make_builtin_schemas.py``. The source is the published OpenAPI
document of that release, taken from the development package ``kubernetes_validate``. Kept are the facts the server
acts on; the descriptions are left behind.
"""

from __future__ import annotations

import gzip
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

KUBERNETES = "v1.32.0"
TARGET = Path(__file__).parents[1] / "src/stratos/apiserver/registry/schema/builtin.json.gz"

KINDS = {
    "/v1": (
        "Binding ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod "
        "PodTemplate ResourceQuota Secret Service ServiceAccount"
    ),
    "admissionregistration.k8s.io/v1": "MutatingWebhookConfiguration ValidatingWebhookConfiguration",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "apps/v1": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "authentication.k8s.io/v1": "SelfSubjectReview TokenRequest TokenReview",
    "authorization.k8s.io/v1": (
        "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview"
    ),
    "autoscaling/v1": "Scale",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "batch/v1": "CronJob Job",
    "coordination.k8s.io/v1": "Lease",
    "discovery.k8s.io/v1": "EndpointSlice",
    "events.k8s.io/v1": "Event",
    "networking.k8s.io/v1": "Ingress IngressClass NetworkPolicy",
    "node.k8s.io/v1": "RuntimeClass",
    "policy/v1": "Eviction PodDisruptionBudget",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "scheduling.k8s.io/v1": "PriorityClass",
    "storage.k8s.io/v1": "CSIDriver CSINode StorageClass VolumeAttachment",
}

SHARED = (
    # Not part of any object, but of the published interface: what lists carry, what deletions take and give.
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
)

KEPT = (
    "format",
    "required",
    "enum",
    "x-kubernetes-group-version-kind",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
)

OPEN_ENDED = {
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
    "io.k8s.apimachinery.pkg.runtime.RawExtension",
}

SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
SCHEMA_OR_ELSE = (f"{SCHEMA}OrArray", f"{SCHEMA}OrBool")

KEY_DEFAULTS = {
    # Not in the published document, but they decide which item of a list a patch means.
    ("io.k8s.api.core.v1.ContainerPort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.ServicePort", "protocol"): "TCP",
}

REFERENCE = "#/$defs/"


def main() -> None:
    document = distilled()
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    TARGET.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    sizes = f"{len(document['kinds'])} kinds, {len(document['definitions'])} definitions"
    print(f"{TARGET.name}: {sizes}, {TARGET.stat().st_size} bytes")


def distilled() -> dict[str, Any]:
    """The whole document: each kind's definition by name, and every definition they need."""
    published = read_definitions()
    kinds = name_kinds(published)
    in_spec = reachable(published, kinds.values(), skip="status")
    names = sorted(reachable(published, [*kinds.values(), *SHARED]))
    definitions = {name: distil_definition(name, published[name], in_spec=name in in_spec) for name in names}
    for name in SCHEMA_OR_ELSE:
        # Typed by no more than a comment, but where a schema stands it should be checked like any other.
        definitions[name] = {key: value for key, value in definitions[SCHEMA].items() if key != "type"}
    return {"kubernetes": KUBERNETES, "kinds": kinds, "definitions": definitions}


def read_definitions() -> dict[str, dict[str, Any]]:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"{KUBERNETES}-local"
    definitions: dict[str, dict[str, Any]] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    return definitions


def name_kinds(definitions: dict[str, dict[str, Any]]) -> dict[str, str]:
    """``apps/v1/Deployment`` → the name of its definition, for every kind we serve."""
    published = {
        f"{gvk['group']}/{gvk['version']}/{gvk['kind']}": name
        for name, definition in definitions.items()
        for gvk in definition.get("x-kubernetes-group-version-kind", ())
    }
    wanted = [f"{group_version}/{kind}" for group_version, kinds in KINDS.items() for kind in kinds.split()]
    return {kind: published[kind] for kind in wanted}


def reachable(definitions: dict[str, dict[str, Any]], roots: Any, *, skip: str = "") -> set[str]:
    """The definitions the roots are made of; those under a root's field ``skip`` only if they are used elsewhere."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        definition = definitions[name]
        if skip in definition.get("properties", {}):
            definition = {**definition, "properties": {k: v for k, v in definition["properties"].items() if k != skip}}
        waiting.extend(references(definition))
    return found


def references(source: Any) -> list[str]:
    if isinstance(source, dict):
        own = [source["$ref"].removeprefix(REFERENCE)] if isinstance(source.get("$ref"), str) else []
        return own + [name for child in source.values() for name in references(child)]
    if isinstance(source, list):
        return [name for child in source for name in references(child)]
    return []


def distil_definition(name: str, definition: dict[str, Any], *, in_spec: bool) -> dict[str, Any]:
    result = distil(definition)
    if not in_spec:
        # What a controller reports may be incomplete: the server takes a missing number in a status for zero.
        result.pop("required", None)
    if name in OPEN_ENDED:
        result["x-kubernetes-preserve-unknown-fields"] = True
    if name.endswith(".Quantity"):
        result = {"format": "quantity", "oneOf": [{"type": "string"}, {"type": "number"}]}
    if name.endswith(".IntOrString"):
        result = {"x-kubernetes-int-or-string": True, "format": "int-or-string"}
    for (owner, field), default in KEY_DEFAULTS.items():
        if owner == name:
            result["properties"][field]["default"] = default
    return result


def distil(source: dict[str, Any]) -> dict[str, Any]:
    result = {key: source[key] for key in KEPT if key in source}
    if "$ref" in source:
        result["$ref"] = source["$ref"].removeprefix(REFERENCE)
    if "type" in source:
        kinds = source["type"] if isinstance(source["type"], list) else [source["type"]]
        result["type"] = next(kind for kind in kinds if kind != "null")
    if "properties" in source:
        result["properties"] = {key: distil(child) for key, child in source["properties"].items()}
        for constant in ("apiVersion", "kind"):
            result["properties"].get(constant, {}).pop("enum", None)
    for keyword in ("items", "additionalProperties"):
        if isinstance(source.get(keyword), dict):
            result[keyword] = distil(source[keyword])
    return result


if __name__ == "__main__":
    main()
