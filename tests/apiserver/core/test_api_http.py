"""Who is let in, what is found where, in which form; and that nonsense is refused with a reason and changes nothing."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from apiserver.core.api_calls import CONFIG_MAPS, DEPLOYMENTS, NOBODY, PODS, Api, a_config_map, a_pod, an_api, with_api
from stratos.apiserver.auth.certificates import CertificateStore
from stratos.apiserver.http.negotiation import Form, negotiate
from stratos.apiserver.http.paths import ResourcePath, parse_resource_path
from stratos.apiserver.http.serving import TlsFiles, serving
from stratos.wiring.clock import SystemClock

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", ResourcePath("", "v1", "pods")),
        ("/api/v1/namespaces/a/pods/b", ResourcePath("", "v1", "pods", "a", "b")),
        ("/api/v1/namespaces/a/pods/b/log", ResourcePath("", "v1", "pods", "a", "b", "log")),
        ("/api/v1/namespaces/a", ResourcePath("", "v1", "namespaces", "", "a")),
        ("/api/v1/namespaces/a/status", ResourcePath("", "v1", "namespaces", "", "a", "status")),
        ("/api/v1/namespaces/a/finalize", ResourcePath("", "v1", "namespaces", "", "a", "finalize")),
        ("/apis/apps/v1/deployments", ResourcePath("apps", "v1", "deployments")),
        ("/apis/apps/v1/namespaces/a/deployments", ResourcePath("apps", "v1", "deployments", "a")),
        ("/api/v1", None),
        ("/apis/apps/v1", None),
        ("/version", None),
        ("/api/v1/namespaces/a/pods/b/log/more", None),
    ],
)
def test_a_path_names_an_object_or_lies_outside(path: str, expected: ResourcePath | None) -> None:
    assert parse_resource_path(path) == expected


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.PLAIN),
        ("*/*", Form.PLAIN),
        ("application/vnd.kubernetes.protobuf,application/json", Form.PLAIN),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Form.TABLE),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Form.PLAIN),
        ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", Form.DISCOVERY),
    ],
)
def test_the_first_acceptable_form_is_served(accept: str, form: Form) -> None:
    assert negotiate(accept) is form


def test_strangers_see_health_and_nothing_else() -> None:
    async def scenario(api: Api) -> None:
        for path in ("/healthz", "/livez", "/readyz", "/readyz?verbose"):
            assert (await api.call("GET", path.partition("?")[0], token="")).code == 200
        for path in ("/version", "/api", "/apis", PODS, "/metrics", "/openapi/v2", "/nowhere"):
            reply = await api.call("GET", path, token="")
            assert reply.status() == (401, "Unauthorized", "Unauthorized"), path
        assert (await api.call("GET", PODS, token="wrong")).code == 401

    with_api(scenario)


def test_the_known_are_told_what_they_may_not() -> None:
    async def scenario(api: Api) -> None:
        reply = await api.call("GET", PODS, token=NOBODY)
        assert reply.status() == (
            403,
            "Forbidden",
            'pods is forbidden: User "nobody" cannot list resource "pods" in API group "" in the namespace "default"',
        )
        acting = await api.call("GET", PODS, headers={"impersonate-user": "nobody"})
        assert acting.code == 403
        refused = await api.call("GET", PODS, token=NOBODY, headers={"impersonate-user": "admin"})
        assert 'cannot impersonate resource "users"' in refused.obj["message"]

    with_api(scenario)


def test_discovery_tells_the_same_in_both_ways() -> None:
    async def scenario(api: Api) -> None:
        one_by_one = set()
        for group in (await api.get("/apis"))["groups"]:
            for version in group["versions"]:
                for entry in (await api.get(f"/apis/{version['groupVersion']}"))["resources"]:
                    one_by_one.add((version["groupVersion"], entry["name"], tuple(entry["verbs"])))
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        reply = await api.call("GET", "/apis", accept=accept)
        assert reply.header(b"content-type").decode() == accept
        at_once = set()
        for group in reply.obj["items"]:
            for version in group["versions"]:
                name = f"{group['metadata']['name']}/{version['version']}"
                for entry in version["resources"]:
                    at_once.add((name, entry["resource"], tuple(entry["verbs"])))
                    for sub in entry.get("subresources", []):
                        at_once.add((name, f"{entry['resource']}/{sub['subresource']}", tuple(sub["verbs"])))
        assert at_once == one_by_one

    with_api(scenario)


def test_openapi_metrics_and_version_are_there_for_users() -> None:
    async def scenario(api: Api) -> None:
        assert (await api.get("/version"))["minor"] == "32"
        assert "apis/apps/v1" in (await api.get("/openapi/v3"))["paths"]
        assert (await api.get("/openapi/v3/apis/apps/v1"))["openapi"] == "3.0.0"
        assert (await api.get("/openapi/v2"))["swagger"] == "2.0"
        assert b"apiserver_request_total" in (await api.call("GET", "/metrics")).body

    with_api(scenario)


def test_large_answers_are_compressed_for_those_who_can_read_them() -> None:
    async def scenario(api: Api) -> None:
        await api.create(CONFIG_MAPS, a_config_map(data={"large": "x" * 200_000}))
        plain = await api.call("GET", CONFIG_MAPS)
        packed = await api.call("GET", CONFIG_MAPS, headers={"accept-encoding": "gzip, deflate"})
        assert packed.header(b"content-encoding") == b"gzip"
        assert len(packed.body) < len(plain.body) / 20
        assert gzip.decompress(packed.body) == plain.body

    with_api(scenario)


def test_a_long_list_is_the_same_list_in_parts() -> None:
    """Twenty thousand pods must neither fill the memory nor keep everybody else waiting."""

    async def scenario(api: Api) -> None:
        for number in range(1100):
            await api.create(CONFIG_MAPS, a_config_map(f"cm-{number:04}"))
        whole = await api.call("GET", CONFIG_MAPS)
        assert [item["metadata"]["name"] for item in whole.obj["items"]] == [f"cm-{n:04}" for n in range(1100)]
        packed = await api.call("GET", CONFIG_MAPS, headers={"accept-encoding": "gzip"})
        assert gzip.decompress(packed.body) == whole.body

    with_api(scenario)


def _with(obj: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    at: Any = obj
    *parents, last = path.split("/")
    for key in parents:
        at = at[int(key) if key.isdigit() else key]
    at[last] = value
    return obj


REFUSED: list[tuple[str, str, dict[str, Any], tuple[int, str, str]]] = [
    ("GET", "/api/v1/nothings", {}, (404, "NotFound", "could not find the requested resource")),
    ("GET", "/apis/nowhere/v1/things", {}, (404, "NotFound", "could not find the requested resource")),
    ("GET", "/nowhere", {}, (404, "NotFound", "could not find the requested resource")),
    ("GET", f"{PODS}/absent", {}, (404, "NotFound", 'pods "absent" not found')),
    ("GET", f"{PODS}/there/nothing", {}, (404, "NotFound", "could not find the requested resource")),
    ("POST", f"{PODS}/there", {"body": a_pod()}, (405, "MethodNotAllowed", "does not allow this method")),
    ("PUT", PODS, {"body": a_pod()}, (405, "MethodNotAllowed", "does not allow this method")),
    ("PATCH", PODS, {"body": {}}, (405, "MethodNotAllowed", "does not allow this method")),
    ("DELETE", f"{PODS}/there/status", {}, (405, "MethodNotAllowed", "does not allow this method")),
    ("POST", "/version", {"body": {}}, (405, "MethodNotAllowed", "does not allow this method")),
    ("GET", PODS, {"accept": "application/vnd.kubernetes.protobuf"}, (406, "NotAcceptable", "application/json")),
    ("GET", PODS, {"accept": "text/html"}, (406, "NotAcceptable", "application/json")),
    ("GET", PODS, {"labelSelector": "a in b"}, (400, "BadRequest", "unable to parse requirement 'a in b'")),
    ("GET", PODS, {"labelSelector": "=b"}, (400, "BadRequest", "unable to parse requirement '=b'")),
    ("GET", PODS, {"labelSelector": "a=-b-"}, (400, "BadRequest", "'-b-' is not a label value")),
    ("GET", PODS, {"fieldSelector": "nonsense"}, (400, "BadRequest", "invalid field selector")),
    ("GET", PODS, {"fieldSelector": "spec.none=a"}, (400, "BadRequest", "field label not supported: spec.none")),
    ("GET", PODS, {"limit": "many"}, (400, "BadRequest", "limit: Invalid value")),
    ("GET", PODS, {"limit": "-1"}, (400, "BadRequest", "limit: Invalid value")),
    ("GET", PODS, {"resourceVersion": "new"}, (400, "BadRequest", 'resourceVersion: Invalid value: "new"')),
    ("GET", PODS, {"resourceVersion": "99999"}, (504, "Timeout", "Too large resource version: 99999")),
    ("GET", PODS, {"resourceVersionMatch": "Exact"}, (422, "Invalid", "resourceVersionMatch: Forbidden")),
    ("GET", PODS, {"resourceVersion": "0", "resourceVersionMatch": "Exact"}, (422, "Invalid", "resourceVersionMatch")),
    ("GET", PODS, {"resourceVersion": "1", "resourceVersionMatch": "X"}, (422, "Invalid", "resourceVersionMatch")),
    ("GET", PODS, {"continue": "%%"}, (400, "BadRequest", "continue key is not valid")),
    ("GET", PODS, {"continue": "e30"}, (400, "BadRequest", "continue key is not valid")),
    ("GET", PODS, {"watch": "perhaps"}, (400, "BadRequest", "watch: Invalid value")),
    ("GET", PODS, {"watch": "1", "timeoutSeconds": "soon"}, (400, "BadRequest", "timeoutSeconds: Invalid value")),
    ("GET", PODS, {"watch": "1", "sendInitialEvents": "true"}, (422, "Invalid", "resourceVersionMatch: Forbidden")),
    ("GET", PODS, {"watch": "1", "resourceVersion": "new"}, (400, "BadRequest", "resourceVersion: Invalid value")),
    ("GET", PODS, {"watch": "1", "resourceVersion": "99999"}, (504, "Timeout", "Too large resource version: 99999")),
    ("GET", PODS, {"watch": "1", "fieldSelector": "spec.none=a"}, (400, "BadRequest", "field label not supported")),
    ("GET", "/api/v1/pods/there", {}, (404, "NotFound", "could not find the requested resource")),
    ("GET", "/api/v1/namespaces/default/nodes", {}, (404, "NotFound", "could not find the requested resource")),
    ("POST", "/api/v1/pods", {"body": a_pod()}, (405, "MethodNotAllowed", "does not allow this method")),
    ("DELETE", "/api/v1/pods", {}, (405, "MethodNotAllowed", "does not allow this method")),
    ("POST", PODS, {}, (400, "BadRequest", "the body of the request is empty")),
    ("POST", PODS, {"body": b"{"}, (400, "BadRequest", "not JSON")),
    ("POST", PODS, {"body": b'"text"'}, (400, "BadRequest", "not a JSON object")),
    ("POST", PODS, {"body": b"[]"}, (400, "BadRequest", "not a JSON object")),
    ("POST", PODS, {"body": b"null"}, (400, "BadRequest", "not a JSON object")),
    ("POST", PODS, {"body": b'{"a": NaN}'}, (400, "BadRequest", "NaN")),
    ("POST", PODS, {"body": b'{"a": "\xff"}'}, (400, "BadRequest", "UTF-8")),
    ("POST", PODS, {"body": b"[" * 100_000}, (400, "BadRequest", "nested too deeply")),
    ("POST", PODS, {"body": b"x" * (3 * 1024 * 1024 + 1)}, (413, "RequestEntityTooLarge", "limit is 3145728")),
    ("POST", PODS, {"body": b"a: [", "content_type": "application/yaml"}, (400, "BadRequest", "YAML")),
    ("POST", PODS, {"body": b"<pod/>", "content_type": "text/xml"}, (415, "UnsupportedMediaType", "unknown format")),
    (
        "POST",
        PODS,
        {"body": b"k8s\x00\xff\xff", "content_type": "application/vnd.kubernetes.protobuf"},
        (400, "BadRequest", "not valid protobuf"),
    ),
    ("POST", PODS, {"body": a_config_map()}, (400, "BadRequest", "the kind in the data (ConfigMap)")),
    ("POST", PODS, {"body": _with(a_pod(), "apiVersion", "v2")}, (400, "BadRequest", "API version in the data (v2)")),
    ("POST", PODS, {"body": _with(a_pod(), "metadata", "x")}, (400, "BadRequest", "metadata: Invalid value")),
    ("POST", PODS, {"body": _with(a_pod(), "metadata/namespace", "other")}, (400, "BadRequest", "namespace")),
    ("POST", PODS, {"body": _with(a_pod(), "metadata/resourceVersion", "1")}, (400, "BadRequest", "resourceVersion")),
    ("POST", PODS, {"body": _with(a_pod(), "metadata/name", 7)}, (400, "BadRequest", "metadata.name")),
    ("POST", PODS, {"body": _with(a_pod(), "metadata/name", "")}, (422, "Invalid", "metadata.name: Required value")),
    ("POST", PODS, {"body": _with(a_pod(), "metadata/name", "A_b")}, (422, "Invalid", "metadata.name: Invalid value")),
    ("POST", PODS, {"body": _with(a_pod(), "metadata/labels", {"a": 1})}, (400, "BadRequest", "metadata.labels.a")),
    ("POST", PODS, {"body": _with(a_pod(), "metadata/generateName", 7)}, (400, "BadRequest", "metadata.generateName")),
    ("POST", PODS, {"body": _with(a_pod(), "spec", 1)}, (400, "BadRequest", "spec: Invalid value")),
    (
        "POST",
        PODS,
        {"body": _with(a_pod(), "spec/containers", [])},
        (422, "Invalid", "spec.containers: Required value"),
    ),
    (
        "POST",
        PODS,
        {"body": _with(a_pod(), "spec/containers/0/image", 5)},
        (400, "BadRequest", "spec.containers[0].image"),
    ),
    ("POST", PODS, {"body": a_pod("new"), "dryRun": "Some"}, (400, "BadRequest", "dryRun: Unsupported value")),
    ("POST", PODS, {"body": a_pod("new"), "fieldValidation": "Hard"}, (400, "BadRequest", "fieldValidation")),
    ("POST", PODS, {"body": a_pod("there")}, (409, "AlreadyExists", 'pods "there" already exists')),
    ("PUT", f"{PODS}/there", {"body": a_pod("elsewhere")}, (400, "BadRequest", "does not match the name on the URL")),
    ("PUT", f"{PODS}/absent", {"body": a_pod("absent")}, (404, "NotFound", 'pods "absent" not found')),
    ("PUT", f"{PODS}/there", {"body": _with(a_pod("there"), "metadata/uid", "x")}, (409, "Conflict", "Precondition")),
    (
        "PATCH",
        f"{PODS}/there",
        {"body": {}, "content_type": "application/json"},
        (415, "UnsupportedMediaType", "application/merge-patch+json"),
    ),
    (
        "PATCH",
        f"{PODS}/there",
        {"body": [{"op": "test", "path": "/kind", "value": "X"}], "content_type": "application/json-patch+json"},
        (422, "Invalid", "/kind"),
    ),
    (
        "PATCH",
        f"{PODS}/there",
        {"body": [{"op": "leap", "path": "/kind"}], "content_type": "application/json-patch+json"},
        (400, "BadRequest", "operation 0 of the JSON patch"),
    ),
    (
        "PATCH",
        f"{PODS}/there",
        {"body": {"metadata": {"name": "moved"}}, "content_type": "application/merge-patch+json"},
        (400, "BadRequest", "does not match the name on the URL"),
    ),
    (
        "PATCH",
        f"{PODS}/there",
        {"body": {"spec": {"containers": "none"}}, "content_type": "application/merge-patch+json"},
        (400, "BadRequest", "spec.containers"),
    ),
    (
        "PATCH",
        f"{PODS}/there",
        {"body": a_pod("there"), "content_type": "application/apply-patch+yaml"},
        (422, "Invalid", "fieldManager: Required value"),
    ),
    ("DELETE", f"{PODS}/there", {"body": {"propagationPolicy": "Up"}}, (422, "Invalid", "propagationPolicy")),
    ("DELETE", f"{PODS}/there", {"body": {"gracePeriodSeconds": "x"}}, (400, "BadRequest", "gracePeriodSeconds")),
    ("DELETE", f"{PODS}/there", {"body": {"gracePeriodSeconds": -1}}, (422, "Invalid", "gracePeriodSeconds")),
    ("DELETE", f"{PODS}/there", {"body": []}, (400, "BadRequest", "DeleteOptions")),
    ("DELETE", f"{PODS}/there", {"body": {"preconditions": 1}}, (400, "BadRequest", "preconditions")),
    ("DELETE", "/api/v1/namespaces/default", {}, (403, "Forbidden", "may not be deleted")),
    ("POST", f"{PODS}/there/binding", {"body": {}}, (422, "Invalid", "target.name: Required value")),
    (
        "POST",
        f"{PODS}/there/binding",
        {"body": {"target": {"kind": "Pod", "name": "x"}}},
        (422, "Invalid", "target.kind"),
    ),
    ("POST", f"{PODS}/there/eviction", {"body": {"metadata": {"name": "x"}}}, (400, "BadRequest", "name on the URL")),
    ("POST", f"{PODS}/absent/eviction", {"body": {}}, (404, "NotFound", 'pods "absent" not found')),
    ("GET", f"{PODS}/there/log", {}, (400, "BadRequest", "does not have a host assigned")),
    ("GET", f"{PODS}/there/log", {"container": "x"}, (400, "BadRequest", "container x is not valid")),
    ("GET", f"{PODS}/there/log", {"tailLines": "all"}, (400, "BadRequest", "tailLines: Invalid value")),
    ("PUT", f"{DEPLOYMENTS}/absent/scale", {"body": {"spec": {"replicas": 1}}}, (404, "NotFound", "not found")),
    (
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {"body": {"spec": {}}},
        (422, "Invalid", "spec.resourceAttributes"),
    ),
    ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"body": {"spec": {}}}, (422, "Invalid", "spec.token")),
]


@pytest.mark.parametrize(("method", "path", "request_parts", "expected"), REFUSED)
def test_nonsense_is_refused_with_a_reason_and_changes_nothing(
    method: str, path: str, request_parts: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    """The answer is always a Status with the code, the reason and the field or thing at fault."""

    async def scenario(api: Api) -> None:
        await api.create(PODS, a_pod("there"))
        before = api.storage.revision
        reply = await api.call(method, path, **request_parts)
        assert reply.obj["kind"] == "Status"
        assert (reply.code, reply.obj["reason"]) == expected[:2], reply.obj["message"]
        assert expected[2] in reply.obj["message"]
        assert reply.obj["code"] == reply.code
        assert api.storage.revision == before

    with_api(scenario)


def _field(number: int, value: bytes | int) -> bytes:
    """One field on the wire; small numbers and short bytes only."""
    return bytes([number << 3, value]) if isinstance(value, int) else bytes([number << 3 | 2, len(value)]) + value


def test_the_protobuf_of_go_clients_is_understood() -> None:
    """What Go writes although nobody set it, an empty text or a zero, does not become a field."""
    metadata = _field(1, b"odd") + _field(2, b"") + _field(7, 0) + _field(8, b"")
    config_map = _field(1, metadata) + _field(2, _field(1, b"key") + _field(2, b"text")) + _field(4, 0)
    envelope = _field(1, _field(1, b"v1") + _field(2, b"ConfigMap")) + _field(2, config_map)

    async def scenario(api: Api) -> None:
        body, media_type = b"k8s\x00" + envelope, "application/vnd.kubernetes.protobuf"
        reply = await api.call("POST", CONFIG_MAPS, body, content_type=media_type)
        assert (reply.code, reply.obj["metadata"]["name"]) == (201, "odd")
        assert (reply.obj["data"], reply.obj["immutable"]) == ({"key": "text"}, False)
        assert "generateName" not in reply.obj["metadata"]
        truncated = await api.call("POST", CONFIG_MAPS, body[:-3], content_type=media_type)
        assert truncated.status()[:2] == (400, "BadRequest")

    with_api(scenario)


def test_over_tls_a_certificate_is_as_good_as_a_token(tmp_path: Path) -> None:
    """Real sockets and real certificates, so the real clock too."""

    async def answer(client: aiohttp.ClientSession, trust: ssl.SSLContext, token: str = "") -> tuple[int, str]:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        async with client.get(PODS, ssl=trust, headers=headers) as reply:
            return reply.status, (await reply.json()).get("message", "")

    async def scenario() -> None:
        clock = SystemClock()
        store = CertificateStore(tmp_path, clock)
        authority = store.authority()
        store.serving()
        store.client("somebody")
        files = TlsFiles(*store.paths("apiserver"), store.paths("ca")[0])
        unnamed = ssl.create_default_context(cafile=str(files.client_authority))
        somebody = ssl.create_default_context(cafile=str(files.client_authority))
        somebody.load_cert_chain(*store.paths("client-somebody"))
        async with (
            an_api(clock=clock, authority_pem=authority.certificate_pem) as api,
            serving(api.server.app, host="127.0.0.1", port=0, tls=files) as port,
            aiohttp.ClientSession(f"https://127.0.0.1:{port}") as client,
        ):
            assert await answer(client, unnamed) == (401, "Unauthorized")
            assert await answer(client, unnamed, api.token) == (200, "")
            code, message = await answer(client, somebody)
            assert (code, message.split(" cannot ")[0]) == (403, 'pods is forbidden: User "somebody"')

    asyncio.run(scenario())
