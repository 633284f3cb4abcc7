"""A compiled schema as a tree of nodes, each holding ready answers to what the walkers ask.

A node compiles itself when it is first looked at. That keeps starting cheap (a Pod's shape alone has several hundred
nodes, most never met), and it is what lets a definition refer to itself. References, ``{"$ref": "<name>"}``, are looked
up among the definitions and share one node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stratos.apiserver.registry.schema.constraints import Constraint, constraints_of

Source = Mapping[str, Any]

NO_DEFAULT = object()

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
"""The definition of the metadata every object carries."""


class Definitions:
    """The shapes that references name, with the nodes made of them so far.

    References to none of ``sources`` are looked up in ``base``: custom kinds borrow their metadata from the built-in
    ones. Shapes of ``built_in`` kinds are read as the typed decoder of the real server reads them: a null means that
    the field is not there, and repeated items are for the kind's own rules to judge.
    """

    def __init__(
        self, sources: Mapping[str, Source], *, base: Definitions | None = None, built_in: bool = False
    ) -> None:
        self.sources = sources
        self._base = base
        self.built_in = built_in
        self._nodes: dict[str, Node] = {}

    def node(self, source: Source) -> Node:
        name = source.get("$ref")
        if name is None:
            return Node(source, self)
        if name not in self.sources and self._base is not None:
            return self._base.node(source)
        if len(source) > 1:
            return Node({**self.sources[name], **{key: source[key] for key in source if key != "$ref"}}, self)
        if name not in self._nodes:
            self._nodes[name] = Node(self.sources[name], self)
        return self._nodes[name]

    def object_meta(self) -> Node:
        """The shape of an object's metadata; anything goes where it is not defined."""
        if OBJECT_META in self.sources:
            return self.node({"$ref": OBJECT_META})
        return ANYTHING if self._base is None else self._base.object_meta()


class Node:
    """One schema, compiled. Every attribute but ``source`` is filled in on the first look."""

    __slots__ = (
        "_definitions",
        "accepts",
        "additional",
        "alternatives",
        "atomic",
        "built_in",
        "closed",
        "constraints",
        "default",
        "embedded",
        "enum",
        "exactly_one",
        "fields",
        "has_defaults",
        "has_rules",
        "items",
        "list_type",
        "map_keys",
        "merge_key",
        "nullable",
        "patch_strategies",
        "plain_type",
        "refused",
        "required",
        "rules",
        "source",
        "together",
        "type_name",
    )

    source: Source
    type_name: str  # as messages call it; "" accepts any type
    accepts: tuple[type, ...]
    plain_type: type | None  # set when being of this type is all that is asked
    nullable: bool
    built_in: bool
    default: Any
    enum: tuple[Any, ...]
    constraints: tuple[Constraint, ...]
    required: tuple[str, ...]
    fields: dict[str, Node]
    additional: Node | None  # the shape of values under keys that are not fields
    closed: bool  # keys that are not fields are unknown, and pruned
    embedded: bool  # a whole object, with apiVersion, kind and metadata of its own
    items: Node | None
    list_type: str  # atomic, set or map
    map_keys: tuple[str, ...]
    atomic: bool  # owned, replaced and compared as a whole
    merge_key: str | None
    patch_strategies: frozenset[str]
    together: tuple[Node, ...]  # allOf
    alternatives: tuple[Node, ...]  # anyOf
    exactly_one: tuple[Node, ...]  # oneOf
    refused: Node | None  # not
    rules: tuple[Source, ...]  # x-kubernetes-validations
    has_rules: bool  # here or below; references are not followed, only custom kinds have any
    has_defaults: bool  # likewise

    def __init__(self, source: Source, definitions: Definitions) -> None:
        self.source = source
        self._definitions = definitions

    def __getattr__(self, name: str) -> Any:
        """Reached only while a slot is still empty: compile, then answer."""
        if name not in Node.__slots__:
            raise AttributeError(name)
        self._compile()
        return getattr(self, name)

    def child(self, key: str) -> Node:
        """The shape of the value under ``key``; `ANYTHING` where the schema does not say."""
        return self.fields.get(key) or self.additional or ANYTHING

    @property
    def element(self) -> Node:
        """The shape of a list's items."""
        return self.items or ANYTHING

    def key_of(self, item: Any) -> tuple[Any, ...] | None:
        """What tells an item of this map list from its neighbours; None if it cannot be told by them.

        A key left out counts with its default: a container port without a protocol is a TCP port.
        """
        if type(item) is not dict or not any(key in item for key in self.map_keys):
            return None
        fields = self.element.fields
        values = []
        for key in self.map_keys:
            found = item.get(key)
            if found is None and key in fields and fields[key].default is not NO_DEFAULT:
                found = fields[key].default
            if type(found) is dict or type(found) is list:
                return None
            values.append(found)
        return tuple(values)

    def _compile(self) -> None:
        source, definitions = self.source, self._definitions
        self._compile_type()
        self.enum = tuple(source.get("enum") or ())
        self.constraints = constraints_of(source)
        self.default = source.get("default", NO_DEFAULT)
        self.required = tuple(source.get("required") or ())
        self.embedded = bool(source.get("x-kubernetes-embedded-resource"))
        self._compile_children()
        self._compile_merging()
        self.together = tuple(map(definitions.node, source.get("allOf") or ()))
        self.alternatives = tuple(map(definitions.node, source.get("anyOf") or ()))
        self.exactly_one = tuple(map(definitions.node, source.get("oneOf") or ()))
        if self.type_name in _IMPLIED_TYPES:
            self.alternatives = self.exactly_one = ()
        self.refused = definitions.node(source["not"]) if source.get("not") else None
        self.rules = tuple(source.get("x-kubernetes-validations") or ())
        self.has_rules = _mentions(source, "x-kubernetes-validations")
        self.has_defaults = _mentions(source, "default")
        asks_more = self.enum or self.constraints or self.together or self.alternatives or self.exactly_one
        simple = self.accepts in ((str,), (bool,), (int,)) and not asks_more and self.refused is None
        self.plain_type = self.accepts[0] if simple else None

    def _compile_type(self) -> None:
        source = self.source
        if source.get("x-kubernetes-int-or-string"):
            self.type_name, self.accepts = "int-or-string", (int, str)
        elif source.get("format") == "quantity":
            self.type_name, self.accepts = "quantity", (str, int, float)
        else:
            self.type_name = source.get("type") or ""
            self.accepts = _PYTHON_TYPES.get(self.type_name, ())
        self.built_in = self._definitions.built_in
        self.nullable = bool(source.get("nullable")) or not self.accepts or self.built_in

    def _compile_children(self) -> None:
        source, definitions = self.source, self._definitions
        self.fields = {key: definitions.node(child) for key, child in (source.get("properties") or {}).items()}
        if self.embedded:
            text = Node({"type": "string"}, definitions)
            whole = {"apiVersion": text, "kind": text, "metadata": definitions.object_meta()}
            self.fields = whole | self.fields
        extra = source.get("additionalProperties")
        self.additional = definitions.node(extra) if isinstance(extra, Mapping) else None
        open_ended = extra is True or source.get("x-kubernetes-preserve-unknown-fields")
        self.closed = self.type_name == "object" and self.additional is None and not open_ended
        self.items = definitions.node(source["items"]) if isinstance(source.get("items"), Mapping) else None

    def _compile_merging(self) -> None:
        source = self.source
        self.list_type = source.get("x-kubernetes-list-type") or "atomic"
        self.map_keys = tuple(source.get("x-kubernetes-list-map-keys") or ())
        self.atomic = (
            source.get("x-kubernetes-map-type") == "atomic"
            if self.type_name == "object"
            else self.type_name == "array" and self.list_type == "atomic"
        )
        self.merge_key = source.get("x-kubernetes-patch-merge-key")
        self.patch_strategies = frozenset(filter(None, (source.get("x-kubernetes-patch-strategy") or "").split(",")))


_IMPLIED_TYPES = frozenset({"int-or-string", "quantity"})
"""Their customary ``anyOf: [integer, string]`` says again what the name has said."""


def children_of(source: Source) -> list[Source]:
    """The schemas directly inside a schema that describe fields and items."""
    inner = [*(source.get("properties") or {}).values(), source.get("items"), source.get("additionalProperties")]
    return [child for child in inner if isinstance(child, Mapping)]


def _mentions(source: Source, keyword: str) -> bool:
    return bool(source.get(keyword) is not None) or any(_mentions(child, keyword) for child in children_of(source))


ANYTHING = Node({}, Definitions({}))
"""The node of a value nothing is known about: objects merge by field, lists are replaced as a whole."""
