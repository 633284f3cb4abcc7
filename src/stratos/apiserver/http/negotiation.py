"""Which form of an answer the client asked for: plain, a table for people, metadata alone, or aggregated discovery."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from stratos.apiserver.registry.status import ApiError


class Form(Enum):
    PLAIN = "plain"
    TABLE = "table"
    METADATA = "metadata"
    METADATA_LIST = "metadata list"
    DISCOVERY = "aggregated discovery"


_FORMS = {
    ("Table", "meta.k8s.io"): Form.TABLE,
    ("PartialObjectMetadata", "meta.k8s.io"): Form.METADATA,
    ("PartialObjectMetadataList", "meta.k8s.io"): Form.METADATA_LIST,
    ("APIGroupDiscoveryList", "apidiscovery.k8s.io"): Form.DISCOVERY,
}
_VERSIONS = {"meta.k8s.io": ("v1",), "apidiscovery.k8s.io": ("v2",)}
_JSON_RANGES = frozenset({"application/json", "application/*", "*/*"})


@lru_cache(maxsize=256)
def negotiate(accept: str) -> Form:
    """The first form in the ``Accept`` header that we can serve. Raises 406 if there is none."""
    if not accept.strip():
        return Form.PLAIN
    for media_range in accept.split(","):
        media_type, *parameters = (part.strip() for part in media_range.split(";"))
        if media_type not in _JSON_RANGES:
            continue
        settings = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        if "as" not in settings:
            return Form.PLAIN
        form = _FORMS.get((settings["as"], settings.get("g", "")))
        if form is not None and settings.get("v") in _VERSIONS[settings["g"]]:
            return form
    raise ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json")
