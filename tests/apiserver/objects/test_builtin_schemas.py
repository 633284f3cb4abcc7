"""The shapes of the built-in kinds, as distilled from the published interface."""

from __future__ import annotations

import gzip
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from stratos.apiserver.registry.schema import load_builtin_schema
from stratos.base.errors import NotFound


def a_pod(**container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i", **container}]},
    }


@pytest.mark.parametrize(
    ("container", "field", "message"),
    [
        ({"image": 1}, "image", "must be of type string"),
        ({"ports": [{"containerPort": "80"}]}, "ports[0].containerPort", "must be of type integer"),
        ({"ports": [{}]}, "ports[0].containerPort", "Required value"),
        ({"name": None}, "name", "Required value"),
        ({"env": {"A": "1"}}, "env", "must be of type array"),
        ({"env": [{"name": "A", "value": 1}]}, "env[0].value", "must be of type string"),
        ({"resources": {"requests": {"cpu": "1x"}}}, "resources.requests.cpu", "must be of type quantity"),
        ({"resources": {"requests": {"cpu": [1]}}}, "resources.requests.cpu", "must be of type quantity"),
        ({"securityContext": {"runAsUser": "root"}}, "securityContext.runAsUser", "must be of type integer"),
        ({"command": ["a", None]}, "command[1]", "must be of type string"),
        ({"resources": {"limits": {"cpu": None}}}, "resources.limits.cpu", "must be of type quantity"),
        ({"tty": "yes"}, "tty", "must be of type boolean"),
        ({"livenessProbe": {"httpGet": {"port": []}}}, "livenessProbe.httpGet.port", "must be of type int-or-string"),
        ({"startupProbe": {"periodSeconds": 2**40}}, "startupProbe.periodSeconds", "must be of type int32"),
    ],
)
def test_a_pod_of_the_wrong_shape_is_told_where(container: dict[str, Any], field: str, message: str) -> None:
    """Most mistakes in manifests are of this kind."""
    (problem,) = load_builtin_schema("", "v1", "Pod").validate(a_pod(**container))

    assert problem.field == f"spec.containers[0].{field}"
    assert message in problem.message


@pytest.mark.parametrize(
    "container",
    [
        {"resources": {"requests": {"cpu": 1, "memory": "1Gi", "nvidia.com/gpu": 0.5}}},
        {"livenessProbe": {"httpGet": {"port": "http"}}},
        {"livenessProbe": {"tcpSocket": {"port": 80}}},
        {"command": None, "resources": None},
    ],
)
def test_what_a_real_server_accepts_is_accepted(container: dict[str, Any]) -> None:
    """Numbers as quantities, names as ports, and null for what was left out."""
    assert load_builtin_schema("", "v1", "Pod").validate(a_pod(**container)) == ()


def test_a_null_is_no_field() -> None:
    """Go clients send them; whoever reads the object later should not meet them."""
    pod = a_pod(command=None)
    pod["metadata"]["creationTimestamp"] = None

    assert load_builtin_schema("", "v1", "Pod").prune(pod) == []
    assert pod == a_pod()


def test_an_incomplete_status_is_accepted() -> None:
    """A kubelet reports what it knows; a real server takes the rest for empty."""
    status = {"containerStatuses": [{"name": "c", "ready": True}], "conditions": [{"type": "Ready"}]}

    assert load_builtin_schema("", "v1", "Pod").validate({**a_pod(), "status": status}) == ()
    assert load_builtin_schema("", "v1", "Node").validate({"metadata": {}, "status": {"nodeInfo": {}}}) == ()


def test_free_form_parts_keep_what_they_hold() -> None:
    """Managed fields and the schemas inside definitions are documents of their own."""
    entry = {"manager": "m", "fieldsV1": {"f:spec": {"f:x": {}}}}
    pod = a_pod()
    pod["metadata"]["managedFields"] = [entry]
    properties = {"a": {"type": "integer", "default": None, "enum": [1, None], "items": {"anything": 1}}}
    crd = {"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": properties}}}]}}

    assert load_builtin_schema("", "v1", "Pod").prune(pod) == []
    assert load_builtin_schema("apiextensions.k8s.io", "v1", "CustomResourceDefinition").prune(crd) == []
    assert pod["metadata"]["managedFields"] == [entry]
    assert properties["a"]["items"] == {"anything": 1}


def test_the_same_kind_is_compiled_once() -> None:
    """Thousands of objects share one shape."""
    assert load_builtin_schema("apps", "v1", "Deployment") is load_builtin_schema("apps", "v1", "Deployment")


def test_a_kind_nobody_knows_is_not_found() -> None:
    """And the message says which."""
    with pytest.raises(NotFound, match="no built-in shape for Gizmo in apps/v1"):
        load_builtin_schema("apps", "v1", "Gizmo")


def test_the_data_file_is_what_the_script_makes_of_the_published_interface() -> None:
    """Nobody edits it by hand, so whoever moves to a new release gets all of it."""
    pytest.importorskip("kubernetes_validate", reason="it brings the interface: pip install --group schemas")
    script = runpy.run_path(str(Path(__file__).parents[3] / "scripts" / "make_builtin_schemas.py"))

    assert json.loads(gzip.decompress(script["TARGET"].read_bytes())) == script["distilled"]()
