"""Patches by their content types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stratos.apiserver.registry.metadata import check_envelope
from stratos.apiserver.registry.patching import (
    MalformedPatch,
    PatchFailed,
    json_patch,
    merge_patch,
    strategic_merge_patch,
)
from stratos.apiserver.registry.requests import Target
from stratos.apiserver.registry.resource import Obj
from stratos.apiserver.registry.schema import Schema
from stratos.apiserver.registry.status import ApiError, bad_request

APPLY_PATCH = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"


def patcher(media_type: str, patch: object, target: Target) -> Callable[[Obj], Obj]:
    """A function that applies the patch. Raises 415 when its type is unknown, or makes no sense for the kind."""
    change = patch_function(media_type, patch, None if target.resource.custom else target.resource.schema)
    return lambda live: check_envelope(target, change(live))


def patch_function(media_type: str, patch: object, schema: Schema | None) -> Callable[[Obj], Any]:
    """As `patcher`, without a look at the outcome. A strategic patch needs a schema."""
    change = _change(media_type, patch, schema)

    def patched(live: Obj) -> Any:
        try:
            return change(live)
        except MalformedPatch as error:
            raise bad_request(error.message) from error
        except PatchFailed as error:
            raise ApiError(422, "Invalid", error.message) from error

    return patched


def _change(media_type: str, patch: object, schema: Schema | None) -> Callable[[Obj], Any]:
    if media_type == JSON_PATCH:
        return lambda live: json_patch(live, patch)
    if media_type == MERGE_PATCH:
        return lambda live: merge_patch(live, patch)
    if media_type == STRATEGIC_PATCH and schema is not None:
        return lambda live: strategic_merge_patch(live, patch, schema)
    accepted = [JSON_PATCH, MERGE_PATCH, APPLY_PATCH, *([] if schema is None else [STRATEGIC_PATCH])]
    raise unsupported_media_type(", ".join(accepted))


def unsupported_media_type(accepted: str) -> ApiError:
    return ApiError(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {accepted}",
    )
