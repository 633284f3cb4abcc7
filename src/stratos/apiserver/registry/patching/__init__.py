"""How one document becomes another: JSON patch, merge patch, strategic merge patch and server-side apply.

Every function is pure: it leaves its arguments as they were and returns a document that shares nothing with them that
may be changed. `track_update` alone works in place, on ``metadata.managedFields`` of the object it is given.
"""

from stratos.apiserver.registry.patching.apply import ApplyConflict, apply, track_update
from stratos.apiserver.registry.patching.json_patch import json_patch
from stratos.apiserver.registry.patching.merge import merge_patch
from stratos.apiserver.registry.patching.problems import MalformedPatch, PatchFailed
from stratos.apiserver.registry.patching.strategic import strategic_merge_patch

__all__ = [
    "ApplyConflict",
    "MalformedPatch",
    "PatchFailed",
    "apply",
    "json_patch",
    "merge_patch",
    "strategic_merge_patch",
    "track_update",
]
