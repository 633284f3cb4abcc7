"""Node templates in Terraform files, in its own language and in JSON. Nothing is evaluated: Terraform does that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stratos.base.errors import Invalid, NotReady
from stratos.cli.convert.foreign import ForeignTemplate

_RESOURCE = "castai_node_template"


def templates_in_hcl(text: str, file: str) -> Iterator[ForeignTemplate]:
    """Raises `Invalid` with the line where the file cannot be parsed."""
    try:
        import hcl2
    except ImportError as error:
        hint = "pip install 'stratos-compute[terraform]', or hand over .tf.json"
        raise NotReady("reading .tf files needs the package python-hcl2", hint=hint) from error
    from lark.exceptions import LarkError

    options = hcl2.SerializationOptions(strip_string_quotes=True, explicit_blocks=False, with_comments=False)
    try:
        content = hcl2.loads(text, serialization_options=options)
    except LarkError as error:
        first_line = str(error).partition("\n")[0]
        raise Invalid(f"{file}: {first_line}", hint="`terraform validate` says more") from error
    return templates_in_terraform_json(content, file)


def templates_in_terraform_json(content: object, file: str) -> Iterator[ForeignTemplate]:
    resources = content.get("resource", []) if isinstance(content, dict) else []
    for group in _each(resources):
        for label, bodies in _each_entry(group.get(_RESOURCE, {})):
            for body in _each(bodies):
                fields = _unwrapped(body)
                place = f"{file}: {_RESOURCE}.{label}"
                yield ForeignTemplate(place=place, name=str(fields.get("name", label)), fields=fields)


def _each(value: Any) -> list[dict[str, Any]]:
    """A block may stand alone or in a list of one or more."""
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]


def _each_entry(value: Any) -> Iterator[tuple[str, Any]]:
    for group in _each(value):
        yield from group.items()


_MANY = frozenset({"custom_taints", "custom_priority", "dedicated_node_affinity", "affinity"})


def _unwrapped(value: Any, key: str = "") -> Any:
    """Blocks arrive as lists; those of which there is at most one are meant as the block itself."""
    if isinstance(value, dict):
        return {inner: _unwrapped(each, inner) for inner, each in value.items()}
    if isinstance(value, list):
        items = [_unwrapped(item) for item in value]
        if key not in _MANY and len(items) == 1 and isinstance(items[0], dict):
            return items[0]
        return items
    return value
