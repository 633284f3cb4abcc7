"""What a request to the resource API says beside its path: the query, the body, and the options hidden in both."""

from __future__ import annotations

import yaml

from stratos.apiserver.auth.contract import User
from stratos.apiserver.http import protobuf
from stratos.apiserver.http.patches import unsupported_media_type
from stratos.apiserver.http.request import Request
from stratos.apiserver.registry.json_values import decode_json
from stratos.apiserver.registry.requests import DeleteOptions, ListOptions, WatchOptions, WriteOptions
from stratos.apiserver.registry.resource import Obj, Resource
from stratos.apiserver.registry.status import ApiError, bad_request, invalid
from stratos.apiserver.registry.writing import report_strictly
from stratos.base.errors import FieldProblem, Invalid
from stratos.base.manifest_yaml import load_yaml
from stratos.base.selectors import parse_field_selector, parse_label_selector

_LONGEST_MANAGER = 128


async def read_body(request: Request, options: WriteOptions, resource: Resource) -> object:
    """The decoded body. Keys given twice are reported as the client asked."""
    body = await request.body()
    media_type = request.header(b"content-type").partition(";")[0].strip() or "application/json"
    if not body:
        raise bad_request("the body of the request is empty")
    if media_type == "application/json":
        obj, duplicates = decode_body(body)
    elif media_type in ("application/yaml", "application/x-yaml"):
        obj, duplicates = decode_yaml(body), ()
    elif media_type == protobuf.MEDIA_TYPE and not resource.custom:
        obj, duplicates = protobuf.decode_protobuf(body), ()
    else:
        raise unsupported_media_type("application/json, application/yaml, application/vnd.kubernetes.protobuf")
    report_strictly(resource, [f'duplicate field "{path}"' for path in duplicates], options)
    return obj


def decode_body(body: bytes) -> tuple[object, tuple[str, ...]]:
    try:
        return decode_json(body)
    except Invalid as error:
        raise bad_request(error.message) from error


def decode_yaml(body: bytes) -> object:
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
    return WriteOptions(
        user,
        dry_run=_dry_run(request.query.get("dryRun")),
        field_manager=_field_manager(request),
        field_validation=field_validation,
        force=request.flag("force"),
    )


def _field_manager(request: Request) -> str:
    """Who is said to make the change: the client's own word, or else its program's name."""
    given = request.query.get("fieldManager", "")
    if len(given) > _LONGEST_MANAGER or not given.isprintable():
        message = f"Invalid value: {given!r}: must be printable and no longer than {_LONGEST_MANAGER} letters"
        raise invalid("meta.k8s.io", "PatchOptions", "", [FieldProblem("fieldManager", "FieldValueInvalid", message)])
    program = request.header(b"user-agent").partition("/")[0]
    return given or "".join(filter(str.isprintable, program))[:_LONGEST_MANAGER] or "unknown"


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
        sent_as_protobuf = request.header(b"content-type").startswith(protobuf.MEDIA_TYPE)
        decoded = protobuf.decode_protobuf(body) if sent_as_protobuf else decode_body(body)[0]
        if not isinstance(decoded, dict):
            raise bad_request("the body of a deletion must be a DeleteOptions object")
        given = decoded
    return delete_options_of(request, given, caller), caller


def delete_options_of(request: Request, given: Obj, caller: WriteOptions) -> DeleteOptions:
    """From a DeleteOptions object, with what it leaves out taken from the query."""
    preconditions = given.get("preconditions") or {}
    grace = given.get("gracePeriodSeconds", request.number("gracePeriodSeconds"))
    policy = given.get("propagationPolicy", request.query.get("propagationPolicy"))
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool)):
        raise bad_request(f"gracePeriodSeconds: Invalid value: {grace!r}: must be an integer")
    if not isinstance(preconditions, dict):
        raise bad_request("preconditions: Invalid value: must be an object")
    caller.dry_run = caller.dry_run or _dry_run(given.get("dryRun"))
    return DeleteOptions(
        grace_period_seconds=grace,
        propagation_policy=policy,
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
    )


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
