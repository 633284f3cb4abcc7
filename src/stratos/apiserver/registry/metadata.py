"""What the server itself decides about an object on a write: identity, generation, and who may touch which half.

Pure functions over decoded objects. They know the rules common to all kinds; what one kind defaults or forbids is its
own affair.
"""

from __future__ import annotations

from datetime import datetime

from stratos.apiserver.registry.codec import timestamp
from stratos.apiserver.registry.requests import Target
from stratos.apiserver.registry.resource import Obj, Resource
from stratos.apiserver.registry.schema import load_builtin_schema
from stratos.apiserver.registry.status import bad_request, cannot_be_handled, conflict
from stratos.base.errors import FieldProblem

_SET_BY_THE_SERVER = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_LONGEST_GENERATED_BASE = 58  # leaves room for the five letters of the suffix in a 63-letter name


def check_envelope(target: Target, obj: object) -> Obj:
    """The object, once it is sure that it is one, of the right kind and for the place in the URL."""
    resource = target.resource
    if not isinstance(obj, dict):
        raise bad_request(f"the body of the request is not a JSON object but a {type(obj).__name__}")
    _check_kind(obj, resource.group_version, resource.kind)
    metadata = obj.setdefault("metadata", {})
    if metadata is None:
        metadata = obj["metadata"] = {}
    if not isinstance(metadata, dict):
        raise bad_request("metadata: Invalid value: must be an object")
    name = metadata.get("name") or ""
    if target.name and name and name != target.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
    if target.name and not name:
        metadata["name"] = target.name
    if resource.namespaced:
        if metadata.setdefault("namespace", target.namespace) != target.namespace:
            raise bad_request(
                f"the namespace of the provided object does not match the namespace sent on the request: "
                f"{metadata['namespace']!r} is not {target.namespace!r}"
            )
    else:
        # Clients that fill in a namespace everywhere fill in this one.
        if metadata.pop("namespace", None) not in (None, "", "default"):
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    return obj


def check_body(target: Target, body: object, group: str, version: str, kind: str) -> Obj:
    """The body of a subresource with a kind of its own, once it has its shape and is about the object in the URL."""
    if not isinstance(body, dict):
        raise bad_request(f"the body of the request must be a JSON object of kind {kind}")
    _check_kind(body, f"{group}/{version}" if group else version, kind)
    problems = load_builtin_schema(group, version, kind).validate(body)
    wrong = [problem for problem in problems if problem.reason == "FieldValueTypeInvalid"]
    if wrong:
        raise cannot_be_handled(kind, version, wrong)
    metadata = body.get("metadata") or {}
    for field, expected in (("name", target.name), ("namespace", target.namespace)):
        if metadata.get(field) not in (None, "", expected):
            raise bad_request(
                f"the {field} of the object ({metadata[field]}) does not match the {field} on the URL ({expected})"
            )
    return body


def _check_kind(obj: Obj, group_version: str, kind: str) -> None:
    """What is left out is filled in: the URL says it, too."""
    for field, words, expected in (("apiVersion", "API version", group_version), ("kind", "kind", kind)):
        given = obj.setdefault(field, expected)
        if given != expected:
            raise bad_request(f"the {words} in the data ({given}) does not match the expected {words} ({expected})")


def begin(target: Target, obj: Obj, *, uid: str, now: datetime) -> None:
    """Give a new object its identity."""
    metadata = obj["metadata"]
    for field in (*_SET_BY_THE_SERVER, "resourceVersion", "selfLink"):
        metadata.pop(field, None)
    metadata["uid"] = uid
    metadata["creationTimestamp"] = timestamp(now)
    if target.resource.has_status and not target.resource.created_with_status:
        obj.pop("status", None)


def generated_base(obj: Obj) -> str:
    """The beginning of the name to generate; empty when the object has a name."""
    metadata = obj["metadata"]
    if metadata.get("name"):
        return ""
    base = metadata.get("generateName") or ""
    if not isinstance(base, str):
        raise bad_request("metadata.generateName: Invalid value: must be a string")
    return base[:_LONGEST_GENERATED_BASE]


def carry_over(target: Target, new: Obj, live: Obj) -> None:
    """Undo what an update may not change: the server's own fields, and the half the other endpoint is for."""
    theirs, ours = new["metadata"], live["metadata"]
    given_version = theirs.get("resourceVersion") or ""
    if given_version and given_version != ours["resourceVersion"]:
        raise conflict(target.resource, target.name)
    given_uid = theirs.get("uid") or ""
    if given_uid and given_uid != ours["uid"]:
        raise conflict(
            target.resource,
            target.name,
            f"Precondition failed: UID in precondition: {given_uid}, UID in object meta: {ours['uid']}",
        )
    if target.subresource == "status":
        managed_fields = theirs.get("managedFields")
        for field in [field for field in new if field not in ("status", "apiVersion", "kind")]:
            del new[field]
        new.update({field: value for field, value in live.items() if field not in ("status", "apiVersion", "kind")})
        new["metadata"] = dict(ours)
        if managed_fields is not None:
            new["metadata"]["managedFields"] = managed_fields
        return
    for field in _SET_BY_THE_SERVER:
        if field in ours:
            theirs[field] = ours[field]
        else:
            theirs.pop(field, None)
    theirs["resourceVersion"] = ours["resourceVersion"]
    theirs.pop("selfLink", None)
    if target.resource.kind == "Namespace" and "spec" in live:
        new["spec"] = live["spec"]  # nothing but finalizers, and those have an endpoint of their own
    if target.resource.has_status:
        if "status" in live:
            new["status"] = live["status"]
        else:
            new.pop("status", None)


def advance_generation(resource: Resource, new: Obj, live: Obj | None) -> None:
    """Count the changes to what is asked for; status and metadata do not count."""
    if not resource.custom and "spec" not in new:
        return
    before = live["metadata"].get("generation", 0) if live is not None else 0
    unchanged = live is not None and all(
        new.get(field) == live.get(field)
        for field in new.keys() | live.keys()
        if field not in ("apiVersion", "kind", "metadata") and not (field == "status" and resource.has_status)
    )
    new["metadata"]["generation"] = before if unchanged and before else before + 1


def finalizer_problems(new: Obj, live: Obj) -> tuple[FieldProblem, ...]:
    """An object that is going may lose finalizers, never gain one."""
    if "deletionTimestamp" not in live["metadata"]:
        return ()
    added = [name for name in finalizers(new) if name not in finalizers(live)]
    if not added:
        return ()
    listed = ", ".join(f'"{name}"' for name in added)
    message = (
        "Forbidden: no new finalizers can be added if the object is being deleted, "
        f"found new finalizers []string{{{listed}}}"
    )
    return (FieldProblem("metadata.finalizers", "FieldValueForbidden", message),)


def finalizers(obj: Obj) -> list[str]:
    return obj["metadata"].get("finalizers") or []


def may_go(obj: Obj) -> bool:
    """Whether a deleted object waits for nobody any longer."""
    metadata = obj["metadata"]
    return (
        "deletionTimestamp" in metadata
        and not finalizers(obj)
        and not metadata.get("deletionGracePeriodSeconds")
        and not (obj["kind"] == "Namespace" and obj.get("spec", {}).get("finalizers"))
    )
