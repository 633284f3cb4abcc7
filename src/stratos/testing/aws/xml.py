"""EC2's XML, as far as the layer in front of moto reads and rewrites it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15"
_QUALIFIED = f"{{{NAMESPACE}}}"


def parse(body: bytes) -> Element:
    return ElementTree.fromstring(body)


def render(root: Element) -> bytes:
    ElementTree.register_namespace("", NAMESPACE)
    rendered: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return rendered


def text(element: Element, *path: str) -> str:
    """What is written at the end of the path; empty if there is no such place."""
    found = element.find("/".join(f"{_QUALIFIED}{name}" for name in path))
    return (found.text or "") if found is not None else ""


def items(element: Element, *path: str) -> Iterator[Element]:
    """The items of the list at the end of the path."""
    yield from element.iterfind("/".join(f"{_QUALIFIED}{name}" for name in (*path, "item")))


def child(element: Element, name: str) -> Element | None:
    return element.find(f"{_QUALIFIED}{name}")


def put(element: Element, name: str, value: str | Mapping[str, str]) -> None:
    """Write a child anew: a text, or children of its own."""
    found = child(element, name)
    if found is None:
        found = SubElement(element, f"{_QUALIFIED}{name}")
    found.clear()
    if isinstance(value, str):
        found.text = value
    else:
        for key, inner in value.items():
            SubElement(found, f"{_QUALIFIED}{key}").text = inner


def grow(element: Element, name: str) -> Element:
    """A new child, added after the others."""
    return SubElement(element, f"{_QUALIFIED}{name}")


def new(name: str) -> Element:
    return Element(f"{_QUALIFIED}{name}")
