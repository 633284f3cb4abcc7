"""Rewrites stored objects after their kinds have been upgraded, as storage-version migrations do.

An object stays stored as it was last written, for years if nobody touches it. So each is read in its present version
and written back: the server fills in new defaults and stores the present form. Only then may an older version go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from stratos.apis.crds import CUSTOM_KINDS, CustomKind
from stratos.apis.customresourcedefinition import CUSTOM_RESOURCE_DEFINITION
from stratos.apis.generations import current_form
from stratos.base.errors import Conflict, NotFound, StratosError
from stratos.kube.client import Client

_ATTEMPTS = 5
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What became of the stored objects of one kind."""

    kind: str
    rewritten: tuple[str, ...]  # those that were stored in another form than they are now
    refused: tuple[tuple[str, str], ...]  # those that stay as they were, and why


async def rewrite_stored(client: Client) -> list[Rewritten]:
    """Rewrite the objects of all our kinds. Versions that nothing is stored in any more are struck off."""
    return [await _rewrite_kind(client, custom) for custom in CUSTOM_KINDS]


async def _rewrite_kind(client: Client, custom: CustomKind) -> Rewritten:
    rewritten, refused = [], []
    async for name in _names(client, custom):
        try:
            if await _rewrite(client, custom, name):
                rewritten.append(name)
        except NotFound:
            continue  # gone in the meantime
        except StratosError as error:
            refused.append((name, error.message))
    if not refused:
        await _strike_off(client, custom)
    return Rewritten(custom.kind.kind, tuple(rewritten), tuple(refused))


async def _names(client: Client, custom: CustomKind) -> AsyncIterator[str]:
    async for obj in client.list_all(custom.kind, page_size=_PAGE):
        yield obj.metadata.name


async def _rewrite(client: Client, custom: CustomKind, name: str) -> bool:
    """Whether it was stored in another form."""
    for last_try in (*(False,) * (_ATTEMPTS - 1), True):
        stored: dict[str, Any] = await client.get_raw(custom.kind, name)
        try:
            written = await client.update(custom.kind, current_form(custom.kind.kind, stored))
        except Conflict:
            if last_try:
                raise
            continue
        return bool(written.metadata.resource_version != stored["metadata"]["resourceVersion"])
    raise AssertionError("the last try returns or raises")


async def _strike_off(client: Client, custom: CustomKind) -> None:
    definition = await client.get(CUSTOM_RESOURCE_DEFINITION, custom.name)
    wanted = (custom.kind.version,)
    if definition.status.stored_versions != wanted:
        change = {"status": {"storedVersions": list(wanted)}}
        await client.patch(CUSTOM_RESOURCE_DEFINITION, custom.name, change, subresource="status")
