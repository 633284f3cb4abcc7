"""The verbs create, update and patch.

Every write takes the same way: decode, default, admit, validate, commit. An update without a ``resourceVersion`` and
every patch is tried again when somebody else was faster, as the client does not care what it was based on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from stratos.apiserver.admission.contract import Admission, AdmissionRequest, Operation
from stratos.apiserver.registry.admitting import admission_request
from stratos.apiserver.registry.codec import decode_as, encode
from stratos.apiserver.registry.json_values import copy_json
from stratos.apiserver.registry.metadata import (
    advance_generation,
    begin,
    carry_over,
    check_envelope,
    finalizer_problems,
    generated_base,
    may_go,
)
from stratos.apiserver.registry.patching import ApplyConflict, MalformedPatch, apply, track_update
from stratos.apiserver.registry.requests import Target, WriteOptions
from stratos.apiserver.registry.resource import Obj, Resource
from stratos.apiserver.registry.status import (
    ApiError,
    already_exists,
    bad_request,
    cannot_be_handled,
    causes,
    conflict,
    invalid,
    not_found,
)
from stratos.apiserver.storage.contract import Storage, Stored
from stratos.base.clock import Clock
from stratos.base.errors import AlreadyExists, Conflict, NotFound
from stratos.base.ids import IdSource

_ATTEMPTS = 8

Change = Callable[[Obj], Obj]
"""Makes the new object from the live one, which is its own to change."""


@dataclass(frozen=True, slots=True)
class Written:
    """A stored object, and whether this write made it. In a dry run the revision is that of the object replaced."""

    stored: Stored
    created: bool = False


class Writer:
    """``completions`` are the server's own last words on a kind, by ``group_resource``, before it is stored."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        ids: IdSource,
        admission: Admission,
        completions: Mapping[str, Callable[[Obj], None]],
    ) -> None:
        self._completions = completions
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._admission = admission

    async def create(self, target: Target, body: object, options: WriteOptions) -> Written:
        obj = check_envelope(target, body)
        if obj["metadata"].get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        base = generated_base(obj)
        for attempt in range(_ATTEMPTS):
            if base:
                obj["metadata"]["name"] = base + self._ids.suffix()
            try:
                return await self._create(target, obj, options)
            except AlreadyExists:
                if not base or attempt == _ATTEMPTS - 1:
                    raise already_exists(target.resource, str(obj["metadata"]["name"])) from None
        raise AssertionError("the last attempt returns or raises")

    async def update(self, target: Target, body: object, options: WriteOptions) -> Written:
        obj = check_envelope(target, body)
        if obj["metadata"].get("resourceVersion"):
            return await self.change(target, lambda _: obj, options, attempts=1)
        return await self.change(target, lambda _: copy_json(obj), options)

    async def change(
        self, target: Target, change: Change, options: WriteOptions, *, attempts: int = _ATTEMPTS
    ) -> Written:
        """Replace an object by what ``change`` makes of it."""

        async def replace_stored(stored: Stored) -> Written:
            return await self._replace(target, stored, change(decode_as(target.resource, stored)), options)

        return await self._try_to_change(target, replace_stored, attempts)

    async def apply(self, target: Target, body: object, options: WriteOptions) -> Written:
        """Server-side apply: create what is not there, merge into what is."""
        applied = check_envelope(target, body)
        if target.subresource != "status" and target.resource.has_status:
            applied.pop("status", None)

        def applied_to(live: Obj | None) -> Obj:
            try:
                return apply(
                    live,
                    applied,
                    manager=options.field_manager,
                    force=options.force,
                    schema=target.resource.schema,
                    api_version=target.resource.group_version,
                    subresource=target.subresource,
                    now=self._clock.now(),
                )
            except ApplyConflict as error:
                raise ApiError(409, "Conflict", error.message, details={"causes": causes(error.problems)}) from error
            except MalformedPatch as error:
                raise bad_request(error.message) from error

        async def apply_to_stored(stored: Stored) -> Written:
            merged = applied_to(decode_as(target.resource, stored))
            return await self._replace(target, stored, merged, options, track=False)

        if not target.subresource and await self._storage.get(target.key, for_update=True) is None:
            if applied["metadata"].get("uid") or applied["metadata"].get("resourceVersion"):
                raise conflict(target.resource, target.name, "uid or resourceVersion is set, but there is no object")
            try:
                return await self._create(target, applied_to(None), options, track=False)
            except AlreadyExists:
                pass  # somebody was faster: merge into theirs
        return await self._try_to_change(target, apply_to_stored)

    async def amend(self, target: Target, change: Callable[[Obj], None], options: WriteOptions) -> Written:
        """Change an object in a way that is the server's own: nothing is defaulted, admitted or validated again."""

        async def amend_stored(stored: Stored) -> Written:
            live, new = decode_as(target.resource, stored), decode_as(target.resource, stored)
            change(new)
            self._track(target, live, new, options)
            return await self._commit(target, stored, live, new, options)

        return await self._try_to_change(target, amend_stored)

    async def _try_to_change(
        self, target: Target, attempt: Callable[[Stored], Awaitable[Written]], attempts: int = _ATTEMPTS
    ) -> Written:
        """Make an attempt on the present object, and further ones while others keep changing it under our hands."""
        for left in reversed(range(attempts)):
            stored = await self._storage.get(target.key, for_update=True)
            if stored is None:
                raise not_found(target.resource, target.name)
            try:
                return await attempt(stored)
            except Conflict:
                if not left:
                    raise conflict(target.resource, target.name) from None
            except NotFound:
                raise not_found(target.resource, target.name) from None
        raise AssertionError("the last attempt returns or raises")

    async def _create(self, target: Target, obj: Obj, options: WriteOptions, *, track: bool = True) -> Written:
        begin(target, obj, uid=self._ids.uid(), now=self._clock.now())
        request = admission_request(Operation.CREATE, target, obj, None, options)
        request.name = str(obj["metadata"].get("name") or "")
        obj = await self._admit(target, request, options, track=track)
        advance_generation(target.resource, obj, None)
        self._complete(target.resource, obj)
        value = encode(obj)
        key = replace(target, name=obj["metadata"]["name"]).key
        if not options.dry_run:
            return Written(await self._storage.create(key, value), created=True)
        if await self._storage.get(key) is not None:
            raise AlreadyExists(key)
        return Written(Stored(key, value, 0), created=True)

    async def _replace(
        self, target: Target, stored: Stored, new: Obj, options: WriteOptions, *, track: bool = True
    ) -> Written:
        live = decode_as(target.resource, stored)
        carry_over(target, new, live)
        new = await self._admit(
            target, admission_request(Operation.UPDATE, target, new, live, options), options, track=track
        )
        return await self._commit(target, stored, live, new, options)

    async def _commit(self, target: Target, stored: Stored, live: Obj, new: Obj, options: WriteOptions) -> Written:
        advance_generation(target.resource, new, live)
        self._complete(target.resource, new)
        value = encode(new)
        # The same JSON has the same length, in whatever order its fields come; comparing lengths is quicker.
        if len(value) == len(stored.value) and new == live and await self._is_published(stored):
            return Written(stored)
        if options.dry_run:
            return Written(Stored(stored.key, value, stored.revision))
        if may_go(new):
            return Written(Stored(stored.key, value, await self._storage.delete(stored.key, expected=stored.revision)))
        return Written(await self._storage.update(stored.key, value, expected=stored.revision))

    async def _is_published(self, stored: Stored) -> bool:
        published = await self._storage.get(stored.key)
        return published is not None and published.revision == stored.revision

    def _complete(self, resource: Resource, obj: Obj) -> None:
        complete = self._completions.get(resource.group_resource)
        if complete is not None:
            complete(obj)

    def _track(self, target: Target, live: Obj | None, new: Obj, options: WriteOptions) -> None:
        track_update(
            live,
            new,
            manager=options.field_manager,
            schema=target.resource.schema,
            api_version=target.resource.group_version,
            subresource=target.subresource,
            now=self._clock.now(),
        )

    async def _admit(self, target: Target, request: AdmissionRequest, options: WriteOptions, *, track: bool) -> Obj:
        """The object as it will be stored, or the reason why it will not be."""
        resource, given, live = request.resource, request.obj, request.old_obj
        assert given is not None
        report_strictly(resource, [f'unknown field "{path}"' for path in resource.schema.prune(given)], options)
        _shape(resource, given)
        await self._admission.mutate(request)
        obj = request.obj
        assert obj is not None
        if obj is not given:  # a webhook made it anew
            resource.schema.prune(obj)
            _shape(resource, obj)
        if track:
            self._track(target, live, obj, options)
        problems = list(resource.schema.validate(obj, live)) if resource.custom else []
        problems += resource.validate(obj)
        if live is not None:
            problems += [*finalizer_problems(obj, live), *resource.validate_update(obj, live)]
        if problems:
            raise invalid(resource.group, resource.kind, str(obj["metadata"].get("name", "")), problems)
        await self._admission.validate(request)
        return obj


def _shape(resource: Resource, obj: Obj) -> None:
    """Fill in defaults. A built-in kind's rules may rely on the shape of what they are given, so that comes first."""
    resource.schema.default(obj)
    if not resource.custom:
        problems = resource.schema.validate(obj)
        if any(problem.reason == "FieldValueTypeInvalid" for problem in problems):
            raise cannot_be_handled(resource.kind, resource.version, problems)
        if problems:
            raise invalid(resource.group, resource.kind, str(obj["metadata"].get("name", "")), problems)
    resource.default(obj)


def report_strictly(resource: Resource, complaints: Sequence[str], options: WriteOptions) -> None:
    """Tell the client about fields that mean nothing here, as loudly as it asked for."""
    if not complaints or options.field_validation == "Ignore":
        return
    if options.field_validation == "Strict":
        why = f"strict decoding error: {', '.join(complaints)}"
        raise cannot_be_handled(resource.kind, resource.version, (), why)
    options.warnings.extend(complaints)
