"""Whatever is asked, in whatever order: the server answers in its own words, and never with a failure of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apiserver.core.api_calls import NOBODY, a_config_map, a_deployment, a_pod
from bad_input.bad_requests import a_definition, a_scale, an_eviction
from bad_input.furnished_api import (
    AWS_CLASSES,
    CONFIG_MAPS,
    DEFINITIONS,
    DEPLOYMENTS,
    PODS,
    POOLS,
    SIM_CLASSES,
    Obj,
    a_pool,
    a_sim_class,
    an_aws_class,
    furnished_api,
)

_words = st.sampled_from(
    ["", "web-0", "cm", "web", "n1", "ci", "default", "none", "..", "a b", "%2e", "ü", "\x00", "x" * 300, "-1", "true"]
)
_kinds = st.sampled_from(
    [
        *("api/v1/namespaces/default/pods", "api/v1/namespaces/default/configmaps", "api/v1/nodes", "api/v1/events"),
        *("api/v1/namespaces", "api/v1/namespaces/default/serviceaccounts", "api/v1/namespaces/default/services"),
        *("apis/apps/v1/namespaces/default/deployments", "apis/batch/v1/namespaces/default/jobs"),
        *("apis/policy/v1/namespaces/default/poddisruptionbudgets", "apis/stratos.sh/v1alpha1/nodepools"),
        *("apis/stratos.sh/v1alpha1/awsnodeclasses", "apis/apiextensions.k8s.io/v1/customresourcedefinitions"),
        *("apis/rbac.authorization.k8s.io/v1/clusterroles", "apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        *("apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "apis/authentication.k8s.io/v1/tokenreviews"),
        *("apis", "api", "openapi/v2", "openapi/v3/apis/apps/v1", "version", "healthz", "nowhere"),
    ]
)
_parts = st.sampled_from(
    ["", "status", "scale", "log", "eviction", "binding", "token", "finalize", "ephemeralcontainers", "none"]
)
_paths = st.builds(lambda *steps: "/" + "/".join(step for step in steps if step), _kinds, _words, _parts)
_query = st.dictionaries(
    st.sampled_from(
        [
            *(
                "watch",
                "limit",
                "continue",
                "resourceVersion",
                "resourceVersionMatch",
                "labelSelector",
                "fieldSelector",
            ),
            *("timeoutSeconds", "sendInitialEvents", "allowWatchBookmarks", "dryRun", "fieldManager", "force"),
            *("fieldValidation", "gracePeriodSeconds", "propagationPolicy", "container", "follow", "tailLines"),
            *("sinceSeconds", "sinceTime", "limitBytes", "previous", "timestamps", "pretty", "includeObject"),
        ]
    ),
    st.sampled_from(
        [
            *("", "0", "1", "-1", "9" * 30, "9" * 5000, "999999999999", "true", "All", "Strict", "Foreground", "main"),
            *("a=b", "a in (b", "metadata.name=x", "NotOlderThan", "2026-01-01T00:00:00Z", "0001-01-01", "ü", "\x00"),
        ]
    ),
    max_size=3,
)
_fields = st.sampled_from(
    [
        *("apiVersion", "kind", "metadata", "name", "labels", "finalizers", "spec", "replicas", "template", "rules"),
        *("status", "data", "target", "deleteOptions", "preconditions", "op", "path", "value", "$patch"),
    ]
)
_junk = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2**65) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_fields, inner, max_size=4),
    max_leaves=12,
)


def _spoil(obj: Obj, trail: list[int], junk: Any) -> Obj:
    """The manifest with something somewhere in it replaced by junk."""
    at: Any = obj
    for number in trail:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            break
        key = keys[number % len(keys)]
        if not isinstance(at[key], dict | list):
            at[key] = junk
            return obj
        parent, at = at, at[key]
    else:
        parent[key] = junk
    return obj


_makers: list[tuple[str, Callable[[], Obj]]] = [
    *((PODS, a_pod), (CONFIG_MAPS, a_config_map), (DEPLOYMENTS, a_deployment), (DEFINITIONS, a_definition)),
    *((POOLS, a_pool), (AWS_CLASSES, an_aws_class), (SIM_CLASSES, a_sim_class)),
    (f"{PODS}/web-0/eviction", lambda: an_eviction("web-0")),
    (f"{DEPLOYMENTS}/web/scale", lambda: a_scale("web", 1)),
    (f"{PODS}/web-0", lambda: a_pod("web-0")),
    (f"{POOLS}/ci", lambda: a_pool("ci")),
]
_made = st.sampled_from(_makers).map(lambda made: (made[0], made[1]()))
_bodies = st.none() | _junk.map(lambda junk: json.dumps(junk).encode()) | st.binary(max_size=20)
_calls = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
        "path": _paths,
        "query": _query,
        "body": _bodies,
        "content_type": st.sampled_from(
            [
                *("application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "text/plain", ""),
                *("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"),
                "application/strategic-merge-patch+json",
            ]
        ),
        "accept": st.sampled_from(["", "*/*", "application/json;as=Table;v=v1;g=meta.k8s.io", "text/html", ";;,"]),
        "token": st.sampled_from([None, None, None, NOBODY, "", "x"]),
    }
)
_spoiled_calls = st.builds(
    lambda call, made, trail, junk: {**call, "path": made[0], "body": _spoil(made[1], trail, junk), "token": None},
    _calls,
    _made,
    st.lists(st.integers(0, 9), min_size=1, max_size=7),
    _junk,
)


@given(calls=st.lists(_calls | _spoiled_calls, min_size=1, max_size=25))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_no_request_makes_the_server_fail(calls: list[dict[str, Any]]) -> None:
    """Each answer is a success, a stream, or a Status with a reason; the server is as well afterwards as before."""
    with furnished_api() as api:
        for call in calls:
            query = call.pop("query")
            try:
                reply = api.call(call.pop("method"), call.pop("path"), **call, **query)
            except TimeoutError:
                continue  # a watch, or a log that is followed
            assert reply.code < 500 or reply.obj["reason"] in ("Timeout", "ServiceUnavailable"), (reply.body, call)
            if reply.code >= 400 and reply.body:
                status = reply.obj
                assert (status["kind"], status["code"], status["status"]) == ("Status", reply.code, "Failure")
                assert status["reason"] and status["message"]
        assert api.call("GET", "/readyz").code == 200
