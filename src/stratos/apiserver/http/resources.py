"""The resource API: every request to an object or a list of them, from its parameters to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from functools import partial

from stratos.apiserver.auth.contract import Attributes, User
from stratos.apiserver.http.negotiation import Form, negotiate
from stratos.apiserver.http.parameters import (
    decode_body,
    decode_yaml,
    delete_options,
    list_options,
    read_body,
    watch_options,
    write_options,
)
from stratos.apiserver.http.patches import APPLY_PATCH, patcher
from stratos.apiserver.http.paths import ResourcePath
from stratos.apiserver.http.request import Request
from stratos.apiserver.http.response import Answer, Response, Stream, json_response, warning_headers
from stratos.apiserver.http.subresources import SubresourceEndpoint
from stratos.apiserver.http.tables import metadata_only, table
from stratos.apiserver.registry.codec import decode_as, encode_json, served
from stratos.apiserver.registry.deleting import Deleter
from stratos.apiserver.registry.metadata import check_envelope
from stratos.apiserver.registry.reading import Page, Reader
from stratos.apiserver.registry.registry import Registry
from stratos.apiserver.registry.requests import Target, WriteOptions
from stratos.apiserver.registry.resource import Obj, Resource
from stratos.apiserver.registry.reviews import Reviews
from stratos.apiserver.registry.status import bad_request, invalid, method_not_allowed, page_not_found, success
from stratos.apiserver.registry.watching import EventType, Watcher, WatchEvent, event_line
from stratos.apiserver.registry.writing import Writer, Written
from stratos.apiserver.storage.contract import Stored
from stratos.base.clock import Clock
from stratos.base.errors import FieldProblem, Invalid
from stratos.base.selectors import parse_field_selector

_ITEMS_AT_ONCE = 500
_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_ACROSS_NAMESPACES = ("list", "watch")


def verb_of(request: Request, path: ResourcePath) -> str:
    """The request's verb, as authorisation knows it."""
    verb = _VERBS.get(request.method, "")
    if verb == "get" and not path.name:
        return "watch" if request.flag("watch") else "list"
    if verb == "delete" and not path.name:
        return "deletecollection"
    return verb


def attributes_of(request: Request, path: ResourcePath, user: User) -> Attributes:
    verb = verb_of(request, path)
    namespace = path.name if (path.group, path.plural) == ("", "namespaces") else path.namespace
    return Attributes(
        user,
        verb,
        group=path.group,
        version=path.version,
        resource=path.plural,
        subresource=path.subresource,
        namespace=namespace,
        name=path.name or (_selected_name(request) if verb in _ACROSS_NAMESPACES else ""),
    )


def _selected_name(request: Request) -> str:
    """Whoever lists or watches exactly one object by its name may do so with a right to that object alone."""
    try:
        terms = parse_field_selector(request.query.get("fieldSelector", "")).terms
    except Invalid:
        return ""  # it is refused when the request is carried out
    return next((term.value for term in terms if term.path == "metadata.name" and term.equal), "")


class ResourceEndpoint:
    def __init__(
        self,
        registry: Registry,
        reader: Reader,
        watcher: Watcher,
        writer: Writer,
        deleter: Deleter,
        subresources: SubresourceEndpoint,
        reviews: Reviews,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._reader = reader
        self._watcher = watcher
        self._writer = writer
        self._deleter = deleter
        self._subresources = subresources
        self._reviews = reviews
        self._clock = clock

    async def answer(self, request: Request, path: ResourcePath, user: User) -> Answer:
        """Carry out an authorised request."""
        resource = self._registry.find(path.group, path.version, path.plural)
        if resource is None or (path.namespace and not resource.namespaced):
            raise page_not_found()
        target = Target(resource, path.namespace, path.name, path.subresource)
        if path.subresource and path.subresource not in resource.subresources:
            raise page_not_found()
        verb = verb_of(request, path)
        if resource.namespaced and not path.namespace and verb not in _ACROSS_NAMESPACES:
            raise page_not_found() if path.name else method_not_allowed()
        if path.subresource not in ("", "status"):
            return await self._subresources.answer(request, target, verb, user)
        if verb not in resource.verbs:
            raise method_not_allowed()
        if self._reviews.answers(resource):
            return await self._review(request, target, user)
        return await self._answer(request, target, verb, user)

    async def _answer(self, request: Request, target: Target, verb: str, user: User) -> Answer:
        match verb:
            case "get":
                stored = await self._reader.get(target, request.query.get("resourceVersion", ""))
                return self._one(request, target.resource, stored)
            case "list":
                return await self._list(request, target)
            case "watch":
                return self._watch(request, target)
            case "create" if not target.name:
                options = write_options(request, user)
                body = await read_body(request, options, target.resource)
                return self._written(request, target, await self._writer.create(target, body, options), options)
            case "update" if target.name:
                options = write_options(request, user)
                body = await read_body(request, options, target.resource)
                return self._written(request, target, await self._writer.update(target, body, options), options)
            case "patch" if target.name:
                options = write_options(request, user)
                return self._written(request, target, await self._patch(request, target, options), options)
            case "delete" if not target.subresource:
                return await self._delete(request, target, user)
            case "deletecollection":
                return await self._delete_all(request, target, user)
        raise method_not_allowed()

    async def _review(self, request: Request, target: Target, user: User) -> Answer:
        options = write_options(request, user)
        review = check_envelope(target, await read_body(request, options, target.resource))
        return json_response(self._reviews.review(target, review, user), 201)

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
        if len(page.items) > _ITEMS_AT_ONCE:
            return Stream(_list_in_parts(resource, page, metadata), may_compress=True)
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
        with_columns = True  # the first table names them, the others leave them out
        async with aclosing(events):
            async for batch in events:
                for event in batch:
                    obj = event.extra if event.snapshot is None else event.snapshot.obj
                    assert obj is not None
                    if event.type is EventType.ERROR:
                        yield event.line
                    elif form is Form.TABLE:
                        shown = [] if event.type is EventType.BOOKMARK else [obj]
                        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
                        rows = self._rows(resource, shown, metadata, include_object, with_columns=with_columns)
                        yield event_line(event.type, encode_json(rows))
                        with_columns = False
                    else:
                        yield event_line(event.type, encode_json(metadata_only(obj)))

    def _rows(
        self, resource: Resource, shown: Iterable[Obj], metadata: Obj, include_object: str, *, with_columns: bool = True
    ) -> Obj:
        return table(
            resource,
            shown,
            now=self._clock.now(),
            metadata=metadata,
            include_object=include_object,
            with_columns=with_columns,
        )

    async def _patch(self, request: Request, target: Target, options: WriteOptions) -> Written:
        """Which patch it is, the content type says."""
        media_type = request.header(b"content-type").partition(";")[0].strip()
        body = await request.body()
        if media_type != APPLY_PATCH:
            patch, _ = decode_body(body)
            return await self._writer.change(target, patcher(media_type, patch, target), options)
        if not request.query.get("fieldManager"):
            problem = FieldProblem("fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
            raise invalid("meta.k8s.io", "PatchOptions", "", [problem])
        return await self._writer.apply(target, decode_yaml(body), options)

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

    def _written(self, request: Request, target: Target, written: Written, options: WriteOptions) -> Answer:
        response = self._one(request, target.resource, written.stored, code=201 if written.created else 200)
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
        return self._rows(resource, map(partial(decode_as, resource), items), metadata, _include_object(request))


def _plain_list(resource: Resource, page: Page, metadata: Obj) -> bytes:
    return b'%b,"items":[%b]}' % (_list_head(resource, metadata), _joined(resource, page.items))


async def _list_in_parts(resource: Resource, page: Page, metadata: Obj) -> AsyncGenerator[bytes, None]:
    """A long list bit by bit: it is never whole in memory, and others are served in between."""
    yield _list_head(resource, metadata) + b',"items":['
    for start in range(0, len(page.items), _ITEMS_AT_ONCE):
        part = _joined(resource, page.items[start : start + _ITEMS_AT_ONCE])
        yield b"," + part if start else part
        await asyncio.sleep(0)
    yield b"]}"


def _list_head(resource: Resource, metadata: Obj) -> bytes:
    head = {"kind": f"{resource.kind}List", "apiVersion": resource.group_version, "metadata": metadata}
    return encode_json(head)[:-1]


def _joined(resource: Resource, items: Sequence[Stored]) -> bytes:
    return b",".join([served(resource, stored.value, stored.revision) for stored in items])


async def _plain_lines(events: AsyncGenerator[Sequence[WatchEvent], None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(events) as batches:
        async for batch in batches:
            yield batch[0].line if len(batch) == 1 else b"".join(event.line for event in batch)


def _include_object(request: Request) -> str:
    include = request.query.get("includeObject", "") or "Metadata"
    if include not in ("None", "Metadata", "Object"):
        raise bad_request(f'includeObject: Invalid value: "{include}": must be None, Metadata or Object')
    return include
