"""The verbs get and list."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from stratos.apiserver.registry.registry import key_prefix
from stratos.apiserver.registry.requests import ListOptions, Target
from stratos.apiserver.registry.selection import Selection, Snapshot
from stratos.apiserver.registry.status import ApiError, bad_request, invalid, not_found, too_old
from stratos.apiserver.storage.contract import Listing, Storage, Stored
from stratos.base.errors import Expired, FieldProblem

_LIST_TOO_OLD = "The resourceVersion for the provided list is too old."
_LONGEST_REVISION = 18  # digits that surely fit into 64 bits
_TOKEN_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You must start a new list "
    "without the continue parameter."
)


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list. ``remaining`` is None when nobody counted."""

    items: Sequence[Stored]
    revision: int
    continue_token: str = ""
    remaining: int | None = None


class _Token(msgspec.Struct):
    """Where a list goes on: at which revision, behind which key."""

    rv: int
    start: str
    v: str = "meta.k8s.io/v1"


class Reader:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def get(self, target: Target, resource_version: str = "") -> Stored:
        check_reached(self._storage, parse_revision(resource_version))
        stored = await self._storage.get(target.key)
        if stored is None:
            raise not_found(target.resource, target.name)
        return stored

    async def list(self, target: Target, options: ListOptions) -> Page:
        """One page of the objects of a kind, in order of namespace and name."""
        selection = Selection(target.resource, options.label_selector, options.field_selector)
        prefix = key_prefix(target.resource, target.namespace)
        after, revision = self._where_to_start(prefix, options)
        try:
            if selection.everything:
                return _page(await self._storage.list(prefix, limit=options.limit, after=after, revision=revision))
            return _select(await self._storage.list(prefix, after=after, revision=revision), selection, options.limit)
        except Expired as error:
            raise too_old(_TOKEN_TOO_OLD if options.continue_token else _LIST_TOO_OLD) from error

    def _where_to_start(self, prefix: str, options: ListOptions) -> tuple[str, int | None]:
        """The key to start behind, and the revision to show: `None` for the present one."""
        if options.continue_token:
            if options.resource_version not in ("", "0"):
                raise bad_request("specifying resource version is not allowed when using continue")
            token = _parse_token(options.continue_token)
            if not token.start.startswith(prefix):
                raise bad_request("continue key is not valid: the token belongs to another list")
            return token.start, token.rv
        revision = parse_revision(options.resource_version)
        match options.resource_version_match:
            case "":
                exact = bool(revision and options.limit)
            case "NotOlderThan" | "Exact" if not options.resource_version:
                raise _bad_match("resourceVersionMatch is forbidden unless resourceVersion is provided")
            case "Exact" if not revision:
                raise _bad_match('resourceVersionMatch "Exact" is forbidden for resourceVersion "0"')
            case "NotOlderThan" | "Exact" as match:
                exact = match == "Exact"
            case _ as unknown:
                raise _bad_match(f'Unsupported value: "{unknown}": supported values: "Exact", "NotOlderThan", ""')
        check_reached(self._storage, revision)
        return "", revision if exact else None


def check_reached(storage: Storage, revision: int | None) -> None:
    """Raise 504 for a revision that is yet to come: it stems from another life of the store."""
    current = storage.revision
    if revision is not None and revision > current:
        raise ApiError(
            504,
            "Timeout",
            f"Too large resource version: {revision}, current: {current}",
            details={"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
            retry_after_seconds=1,
        )


def parse_revision(resource_version: str) -> int | None:
    """The number in a ``resourceVersion``; `None` when none was given."""
    if not resource_version:
        return None
    if not (resource_version.isascii() and resource_version.isdigit()) or len(resource_version) > _LONGEST_REVISION:
        raise ApiError(
            400,
            "BadRequest",
            f'resourceVersion: Invalid value: "{resource_version}": must be a non-negative integer',
            details={
                "causes": [{"reason": "FieldValueInvalid", "message": "not a number", "field": "resourceVersion"}]
            },
        )
    return int(resource_version)


def _bad_match(message: str) -> ApiError:
    problem = FieldProblem("resourceVersionMatch", "FieldValueForbidden", f"Forbidden: {message}")
    return invalid("meta.k8s.io", "ListOptions", "", [problem])


def _parse_token(text: str) -> _Token:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Token)
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise bad_request(f"continue key is not valid: {error}") from error


def _token(last: Stored, revision: int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(_Token(revision, last.key))).decode().rstrip("=")


def _page(listing: Listing) -> Page:
    if not listing.remaining or not listing.items:
        return Page(listing.items, listing.revision)
    return Page(listing.items, listing.revision, _token(listing.items[-1], listing.revision), listing.remaining)


def _select(listing: Listing, selection: Selection, limit: int) -> Page:
    chosen: list[Stored] = []
    for stored in listing.items:
        if limit and len(chosen) == limit:
            return Page(chosen, listing.revision, _token(chosen[-1], listing.revision))
        if selection.matches(Snapshot(stored.key, stored.value, stored.revision)):
            chosen.append(stored)
    return Page(chosen, listing.revision)
