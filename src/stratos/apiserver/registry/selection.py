"""Which objects a list or a watch is about, decided with as little decoding as the selectors allow."""

from __future__ import annotations

from functools import cached_property

from stratos.apiserver.registry.codec import decode, labels
from stratos.apiserver.registry.resource import Obj, Resource
from stratos.apiserver.registry.status import bad_request
from stratos.base.selectors import FieldSelector, LabelSelector


class Snapshot:
    """One state of one object, decoded at most once and only if somebody asks."""

    def __init__(self, key: str, value: bytes, revision: int) -> None:
        self.key = key
        self.value = value
        self.revision = revision
        self._fields: dict[str, str] = {}

    @cached_property
    def labels(self) -> dict[str, str]:
        return labels(self.value)

    @cached_property
    def obj(self) -> Obj:
        return decode(self.value, self.revision)

    def field(self, resource: Resource, path: str) -> str:
        """A selectable field. Hundreds of kubelets ask every pod event for the same one, so the answer is kept."""
        value = self._fields.get(path)
        if value is None:
            value = self._fields[path] = self._field(resource, path)
        return value

    def _field(self, resource: Resource, path: str) -> str:
        if path == "metadata.name":
            return self.key.rpartition("/")[2]
        if path == "metadata.namespace":
            return self.key.split("/")[-2] if resource.namespaced else ""
        return resource.selectable[path](self.obj)


class Selection:
    """A label selector and a field selector over one kind."""

    def __init__(self, resource: Resource, label_selector: LabelSelector, field_selector: FieldSelector) -> None:
        for term in field_selector.terms:
            if term.path not in resource.selectable and term.path not in ("metadata.name", "metadata.namespace"):
                raise bad_request(
                    f'Unable to find "{resource.group_version}, Resource={resource.plural}" that match label selector '
                    f'"{label_selector}", field selector "{field_selector}": field label not supported: {term.path}'
                )
        self._resource = resource
        self._labels = label_selector
        self._fields = field_selector.terms

    @property
    def everything(self) -> bool:
        return not self._labels.requirements and not self._fields

    def matches(self, snapshot: Snapshot) -> bool:
        if self._labels.requirements and not self._labels.matches(snapshot.labels):
            return False
        for term in self._fields:  # noqa: SIM110 - a generator would cost more than what it runs, on the hottest path
            if (snapshot.field(self._resource, term.path) == term.value) is not term.equal:
                return False
        return True
