"""The resource API: every request to an object or a list of them, from its parameters to its answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial

import yaml

from stratos.apiserver.auth.contract import Attributes, User
from stratos.apiserver.http.negotiation import Form, negotiate
from stratos.apiserver.http.patches import APPLY_PATCH, patcher, unsupported_media_type
from stratos.apiserver.http.paths import ResourcePath
from stratos.apiserver.http.request import Request
from stratos.apiserver.http.response import Answer, Response, Stream, json_response, warning_headers
from stratos.apiserver.http.tables import metadata_only, table
from stratos.apiserver.registry.codec import decode_as, encode_json, served
from stratos.apiserver.registry.deleting import Deleter
from stratos.apiserver.registry.json_values import decode_json
from stratos.apiserver.registry.reading import Page, Reader
from stratos.apiserver.registry.registry import Registry
from stratos.apiserver.registry.requests import DeleteOptions, ListOptions, Target, WatchOptions, WriteOptions
from stratos.apiserver.registry.resource import Obj, Resource
from stratos.apiserver.registry.status import ApiError, bad_request, invalid, success
from stratos.apiserver.registry.watching import EventType, Watcher, WatchEvent, event_line
from stratos.apiserver.registry.writing import Writer, Written, report_strictly
from stratos.apiserver.storage.contract import Stored
from stratos.base.clock import Clock
from stratos.base.errors import FieldProblem, Invalid
from stratos.base.manifest_yaml import load_yaml
from stratos.base.selectors import parse_field_selector, parse_label_selector

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def verb_of(request: Request, path: ResourcePath) -> str:
    """The request's verb, as authorisation knows it."""
    verb = _VERBS.get(request.method, "")
    if verb == "get" and not path.name:
        return "watch" if request.flag("watch") else "list"
    if verb == "delete" and not path.name:
        return "deletecollection"
    return verb


def attributes_of(request: Request, path: ResourcePath, user: User) -> Attributes:
    namespace = path.name if (path.group, path.plural) == ("", "namespaces") else path.namespace
    return Attributes(
        user,
        verb_of(request, path),
        group=path.group,
        version=path.version,
        resource=path.plural,
        subresource=path.subresource,
        namespace=namespace,
        name=path.name,
    )


class ResourceEndpoint:
    def __init__(
        self, registry: Registry, reader: Reader, watcher: Watcher, writer: Writer, deleter: Deleter, clock: Clock
    ) -> None:
        self._registry = registry
        self._reader = reader
        self._watcher = watcher
        self._writer = writer
        self._deleter = deleter
        self._clock = clock

    async def answer(self, request: Request, path: ResourcePath, user: User) -> Answer:
        """Carry out an authorised request."""
        resource = self._registry.find(path.group, path.version, path.plural)
        if resource is None or (path.namespace and not resource.namespaced):
            raise page_not_found()
        target = Target(resource, path.namespace, path.name, path.subresource)
        if path.subresource and path.subresource not in resource.subresources:
            raise page_not_found()
        match verb_of(request, path):
            case "get":
                return self._one(
                    request, resource, await self._reader.get(target, request.query.get("resourceVersion", ""))
                )
            case "list":
                return await self._list(request, target)
            case "watch":
                return self._watch(request, target)
            case "create" if not path.name or path.subresource:
                options = write_options(request, user)
                written = await self._writer.create(target, await read_body(request, options, resource), options)
                return self._written(request, resource, written, options)
            case "update" if path.name:
                options = write_options(request, user)
                written = await self._writer.update(target, await read_body(request, options, resource), options)
                return self._written(request, resource, written, options)
            case "patch" if path.name:
                options = write_options(request, user)
                written = await self._patch(request, target, options)
                return self._written(request, resource, written, options)
            case "delete":
                return await self._delete(request, target, user)
            case "deletecollection":
                return await self._delete_all(request, target, user)
        raise method_not_allowed()

    async def _list(self, request: Request, target: Target) -> Answer:
        page = await self._reader.list(target, list_options(request))
        resource = target.resource
        metadata: Obj = {"resourceVersion": str(page.revision)}
        if page.continue_token:
            metadata["continue"] = page.continue_token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
        form = negotiate(request.header(b"accept"))
        if form is Form.TABLE:
            return json_response(self._table(request, resource, page.items, metadata))
        if form in (Form.METADATA, Form.METADATA_LIST):
            items = [metadata_only(decode_as(resource, stored)) for stored in page.items]
            return json_response(
                {
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata,
                    "items": items,
                }
            )
        return Response(_plain_list(resource, page, metadata))

    def _watch(self, request: Request, target: Target) -> Answer:
        options = watch_options(request)
        form = negotiate(request.header(b"accept"))
        events = self._watcher.watch(target, options)
        if form is Form.PLAIN:
            return Stream(_plain_lines(events))
        include_object = _include_object(request)
        return Stream(self._formed_lines(events, target.resource, form, include_object))

    async def _formed_lines(
        self, events: AsyncGenerator[Sequence[WatchEvent], None], resource: Resource, form: Form, include_object: str
    ) -> AsyncGenerator[bytes, None]:
        first = True
        async with aclosing(events) as batches:
            async for batch in batches:
                for event in batch:
                    if event.type is EventType.ERROR:
                        yield event.line
                        continue
                    obj = event.extra if event.snapshot is None else event.snapshot.obj
                    assert obj is not None
                    if form is Form.TABLE:
                        version = {"resourceVersion": obj["metadata"]["resourceVersion"]}
                        shown = [] if event.type is EventType.BOOKMARK else [obj]
                        obj = table(
                            resource,
                            shown,
                            now=self._clock.now(),
                            metadata=version,
                            include_object=include_object,
                            with_columns=first,
                        )
                        first = False
                    else:
                        obj = metadata_only(obj)
                    yield event_line(event.type, encode_json(obj))

    async def _patch(self, request: Request, target: Target, options: WriteOptions) -> Written:
        """Which patch it is, the content type says."""
        media_type = request.header(b"content-type").partition(";")[0].strip()
        if media_type == APPLY_PATCH:
            _check_apply(request)
            return await self._writer.apply(target, _decode_yaml(await request.body()), options)
        patch, _ = decode_body(await request.body())
        return await self._writer.change(target, patcher(media_type, patch, target), options)

    async def _delete(self, request: Request, target: Target, user: User) -> Answer:
        options, caller = await delete_options(request, user)
        stored, gone = await self._deleter.delete(target, options, caller)
        if gone and not (target.resource.kind == "Pod" and not target.resource.group):
            uid = decode_as(target.resource, stored)["metadata"]["uid"]
            response: Response = json_response(success(target.resource, target.name, uid))
        else:
            response = self._one(request, target.resource, stored)
        response.headers.extend(warning_headers(caller.warnings))
        return response

    async def _delete_all(self, request: Request, target: Target, user: User) -> Answer:
        options, caller = await delete_options(request, user)
        deleted = await self._deleter.delete_all(target, list_options(request), options, caller)
        page = Page(deleted, 0)
        return Response(_plain_list(target.resource, page, {}), headers=warning_headers(caller.warnings))

    def _written(self, request: Request, resource: Resource, written: Written, options: WriteOptions) -> Answer:
        response = self._one(request, resource, written.stored, code=201 if written.created else 200)
        response.headers.extend(warning_headers(options.warnings))
        return response

    def _one(self, request: Request, resource: Resource, stored: Stored, code: int = 200) -> Response:
        form = negotiate(request.header(b"accept"))
        if form is Form.TABLE:
            metadata = {"resourceVersion": str(stored.revision)}
            return json_response(self._table(request, resource, [stored], metadata), code)
        if form is Form.METADATA:
            return json_response(metadata_only(decode_as(resource, stored)), code)
        return Response(served(resource, stored.value, stored.revision), code)

    def _table(self, request: Request, resource: Resource, items: Sequence[Stored], metadata: Obj) -> Obj:
        objects = map(partial(decode_as, resource), items)
        include_object = _include_object(request)
        return table(resource, objects, now=self._clock.now(), metadata=metadata, include_object=include_object)


def _check_apply(request: Request) -> None:
    if not request.query.get("fieldManager"):
        problem = FieldProblem("fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
        raise invalid("meta.k8s.io", "PatchOptions", "", [problem])


def page_not_found() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def _plain_list(resource: Resource, page: Page, metadata: Obj) -> bytes:
    head = encode_json({"kind": f"{resource.kind}List", "apiVersion": resource.group_version, "metadata": metadata})
    items = b",".join(served(resource, stored.value, stored.revision) for stored in page.items)
    return b'%b,"items":[%b]}' % (head[:-1], items)


async def _plain_lines(events: AsyncGenerator[Sequence[WatchEvent], None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(events) as batches:
        async for batch in batches:
            yield batch[0].line if len(batch) == 1 else b"".join(event.line for event in batch)


def _include_object(request: Request) -> str:
    include = request.query.get("includeObject", "") or "Metadata"
    if include not in ("None", "Metadata", "Object"):
        raise bad_request(f'includeObject: Invalid value: "{include}": must be None, Metadata or Object')
    return include


async def read_body(request: Request, options: WriteOptions, resource: Resource) -> object:
    """The decoded body. Keys given twice are reported as the client asked."""
    body = await request.body()
    media_type = request.header(b"content-type").partition(";")[0].strip() or "application/json"
    if not body:
        raise bad_request("the body of the request is empty")
    if media_type == "application/json":
        obj, duplicates = decode_body(body)
    elif media_type in ("application/yaml", "application/x-yaml"):
        obj, duplicates = _decode_yaml(body), ()
    else:
        raise unsupported_media_type("application/json, application/yaml")
    report_strictly(resource, [f'duplicate field "{path}"' for path in duplicates], options)
    return obj


def decode_body(body: bytes) -> tuple[object, tuple[str, ...]]:
    try:
        return decode_json(body)
    except Invalid as error:
        raise bad_request(error.message) from error


def _decode_yaml(body: bytes) -> object:
    try:
        return load_yaml(body)
    except yaml.YAMLError as error:
        raise bad_request(f"the body of the request is not YAML: {error}") from error


def write_options(request: Request, user: User) -> WriteOptions:
    field_validation = request.query.get("fieldValidation") or "Warn"
    if field_validation not in ("Ignore", "Warn", "Strict"):
        raise bad_request(
            f'fieldValidation: Unsupported value: "{field_validation}": supported values: "Ignore", "Strict", "Warn"'
        )
    agent = request.header(b"user-agent").partition("/")[0]
    return WriteOptions(
        user,
        dry_run=_dry_run(request.query.get("dryRun")),
        field_manager=request.query.get("fieldManager") or agent or "unknown",
        field_validation=field_validation,
        force=request.flag("force"),
    )


def _dry_run(value: object) -> bool:
    """``dryRun`` as a query parameter has one value, in a body a list of them."""
    if value in (None, "", []):
        return False
    if value in ("All", ["All"]):
        return True
    raise bad_request(f'dryRun: Unsupported value: "{value}": supported values: "All"')


async def delete_options(request: Request, user: User) -> tuple[DeleteOptions, WriteOptions]:
    """From the body if there is one, else from the query."""
    caller = write_options(request, user)
    body = await request.body()
    given: Obj = {}
    if body:
        decoded, _ = decode_body(body)
        if not isinstance(decoded, dict):
            raise bad_request("the body of a deletion must be a DeleteOptions object")
        given = decoded
    preconditions = given.get("preconditions") or {}
    caller.dry_run = caller.dry_run or _dry_run(given.get("dryRun"))
    grace = given.get("gracePeriodSeconds", request.number("gracePeriodSeconds"))
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool)):
        raise bad_request("gracePeriodSeconds: Invalid value: must be an integer")
    options = DeleteOptions(
        grace_period_seconds=grace,
        propagation_policy=given.get("propagationPolicy", request.query.get("propagationPolicy")),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
    )
    return options, caller


def list_options(request: Request) -> ListOptions:
    query = request.query
    try:
        return ListOptions(
            label_selector=parse_label_selector(query.get("labelSelector", "")),
            field_selector=parse_field_selector(query.get("fieldSelector", "")),
            limit=request.number("limit") or 0,
            continue_token=query.get("continue", ""),
            resource_version=query.get("resourceVersion", ""),
            resource_version_match=query.get("resourceVersionMatch", ""),
        )
    except Invalid as error:
        raise bad_request(error.message) from error


def watch_options(request: Request) -> WatchOptions:
    options = list_options(request)
    bookmarks = request.flag("allowWatchBookmarks")
    send_initial_events = request.flag("sendInitialEvents")
    if "sendInitialEvents" in request.query and options.resource_version_match != "NotOlderThan":
        raise _invalid_list_option(
            "resourceVersionMatch",
            "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        )
    if send_initial_events and not bookmarks:
        raise _invalid_list_option(
            "allowWatchBookmarks", "Forbidden: sendInitialEvents requires setting allowWatchBookmarks to true"
        )
    return WatchOptions(
        label_selector=options.label_selector,
        field_selector=options.field_selector,
        resource_version=options.resource_version,
        bookmarks=bookmarks,
        send_initial_events=send_initial_events,
        timeout_seconds=request.number("timeoutSeconds") or None,
    )


def _invalid_list_option(field: str, message: str) -> ApiError:
    return invalid("meta.k8s.io", "ListOptions", "", [FieldProblem(field, "FieldValueForbidden", message)])
