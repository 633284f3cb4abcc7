"""The subresources that speak a kind of their own, from request to answer."""

from __future__ import annotations

from datetime import datetime

from stratos.apiserver.auth.contract import SYSTEM_MASTERS, User
from stratos.apiserver.http.parameters import decode_body, delete_options_of, read_body, write_options
from stratos.apiserver.http.patches import patch_function
from stratos.apiserver.http.request import Request
from stratos.apiserver.http.response import Answer, Response, Stream, json_response, warning_headers
from stratos.apiserver.registry.codec import served
from stratos.apiserver.registry.metadata import check_body
from stratos.apiserver.registry.requests import Target, WriteOptions
from stratos.apiserver.registry.schema import load_builtin_schema
from stratos.apiserver.registry.status import bad_request, forbidden, method_not_allowed
from stratos.apiserver.registry.subresources.binding import Binder
from stratos.apiserver.registry.subresources.eviction import Evictor
from stratos.apiserver.registry.subresources.finalize import Finalizer
from stratos.apiserver.registry.subresources.logs import LogOptions, PodLogs
from stratos.apiserver.registry.subresources.scale import Scaler
from stratos.apiserver.registry.subresources.tokens import TokenRequests

_LOG_WRITERS = ("system:nodes", SYSTEM_MASTERS)


class SubresourceEndpoint:
    def __init__(
        self,
        scaler: Scaler,
        evictor: Evictor,
        binder: Binder,
        logs: PodLogs,
        tokens: TokenRequests,
        finalizer: Finalizer,
    ) -> None:
        self._scaler = scaler
        self._evictor = evictor
        self._binder = binder
        self._logs = logs
        self._tokens = tokens
        self._finalizer = finalizer

    async def answer(self, request: Request, target: Target, verb: str, user: User) -> Answer:
        if (target.subresource, verb) == ("log", "get"):
            return Stream(await self._logs.read(target, _log_options(request)), content_type=b"text/plain")
        if (target.subresource, verb) == ("log", "create"):
            return await self._append_log(request, target, user)
        if (target.subresource, verb) == ("scale", "get"):
            return json_response(await self._scaler.get(target))
        options = write_options(request, user)
        answer = await self._write(request, target, verb, options)
        answer.headers.extend(warning_headers(options.warnings))
        return answer

    async def _write(self, request: Request, target: Target, verb: str, options: WriteOptions) -> Response:
        match target.subresource, verb:
            case "scale", "update":
                scale = await read_body(request, options, target.resource)
                return json_response(await self._scaler.change(target, lambda _: scale, options))
            case "scale", "patch":
                patch, _ = decode_body(await request.body())
                media_type = request.header(b"content-type").partition(";")[0].strip()
                change = patch_function(media_type, patch, load_builtin_schema("autoscaling", "v1", "Scale"))
                return json_response(await self._scaler.change(target, change, options))
            case "binding", "create":
                binding = check_body(target, await read_body(request, options, target.resource), "", "v1", "Binding")
                return json_response(await self._binder.bind(target, binding, options), 201)
            case "eviction", "create":
                body = await read_body(request, options, target.resource)
                eviction = check_body(target, body, "policy", "v1", "Eviction")
                delete = delete_options_of(request, eviction.get("deleteOptions") or {}, options)
                return json_response(await self._evictor.evict(target, eviction, delete, options), 201)
            case "token", "create":
                body = await read_body(request, options, target.resource)
                asked = check_body(target, body, "authentication.k8s.io", "v1", "TokenRequest")
                return json_response(await self._tokens.issue(target, asked), 201)
            case "finalize", "update":
                body = await read_body(request, options, target.resource)
                stored = (await self._finalizer.finalize(target, body, options)).stored
                return Response(served(target.resource, stored.value, stored.revision))
        raise method_not_allowed()

    async def _append_log(self, request: Request, target: Target, user: User) -> Answer:
        """How kubelets hand in what their containers print: plain text, one line each."""
        if not any(group in user.groups for group in _LOG_WRITERS):
            raise forbidden(target.resource, target.name, "only the pod's node may add to its log")
        try:
            text = (await request.body()).decode()
        except UnicodeDecodeError as error:
            raise bad_request(f"the log is not UTF-8: {error.reason} at byte {error.start}") from error
        container = request.query.get("container", "")
        await self._logs.append(target, container, text, restarted=request.flag("restarted"))
        return json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)


def _log_options(request: Request) -> LogOptions:
    since = request.query.get("sinceTime")
    try:
        since_time = datetime.fromisoformat(since) if since else None
    except ValueError as error:
        raise bad_request(f'sinceTime: Invalid value: "{since}": must be a time as in RFC 3339') from error
    return LogOptions(
        container=request.query.get("container", ""),
        follow=request.flag("follow"),
        previous=request.flag("previous"),
        timestamps=request.flag("timestamps"),
        tail_lines=request.number("tailLines"),
        since_seconds=request.number("sinceSeconds"),
        since_time=since_time,
        limit_bytes=request.number("limitBytes"),
    )
