"""JSON patch (RFC 6902): a list of operations, applied one after another, all of them or none."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from stratos.apiserver.registry.json_values import copy_json, equal_json
from stratos.apiserver.registry.patching.problems import MalformedPatch, PatchFailed

MAX_OPERATIONS = 10_000
_INDEX = re.compile(r"0|[1-9][0-9]*")
_BAD_ESCAPE = re.compile(r"~(?![01])")


def json_patch(document: Any, operations: Any) -> Any:
    """``document`` after the ``operations``. `PatchFailed` names the operation that does not fit."""
    if not isinstance(operations, list):
        raise MalformedPatch("a JSON patch must be a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise MalformedPatch(f"the JSON patch has {len(operations)} operations, at most {MAX_OPERATIONS} are allowed")
    # One nameless field around the document makes the root a place like any other.
    holder = {"": copy_json(document)}
    for number, operation in enumerate(operations):
        _apply(holder, number, operation)
    return holder[""]


def _apply(holder: dict[str, Any], number: int, operation: Any) -> None:
    name = operation.get("op") if isinstance(operation, dict) else None
    run = _OPERATIONS.get(name) if isinstance(name, str) else None
    if run is None:
        raise MalformedPatch(
            f"operation {number} of the JSON patch is not one", hint=f"op is one of {', '.join(sorted(_OPERATIONS))}"
        )
    if operation["op"] in ("add", "replace", "test") and "value" not in operation:
        raise MalformedPatch(f"operation {number} of the JSON patch ({operation['op']}) has no value")
    try:
        run(holder, operation)
    except _DoesNotFit as error:
        where = f"{operation['op']} {operation['path']}"
        raise PatchFailed(f"operation {number} of the JSON patch ({where}) failed: {error}") from None


class _DoesNotFit(Exception):
    """Why one operation cannot be carried out."""


def _steps(operation: dict[str, Any], name: str) -> list[str]:
    pointer = operation.get(name)
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")) or _BAD_ESCAPE.search(pointer):
        raise MalformedPatch(f"{name} {pointer!r} of a {operation['op']} operation is not a JSON pointer")
    return ["", *(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])]


def _index(items: list[Any], step: str, *, end: int) -> int:
    if step == "-" and end > len(items) - 1:
        return len(items)
    if _INDEX.fullmatch(step) is None:
        raise _DoesNotFit(f"{step!r} is not a list index")
    if int(step) > end:
        raise _DoesNotFit(f"index {step} is out of range, the list has {len(items)} items")
    return int(step)


def _step_into(container: Any, step: str) -> Any:
    if isinstance(container, dict):
        if step not in container:
            raise _DoesNotFit(f"there is no field {step!r}")
        return container[step]
    if isinstance(container, list):
        return container[_index(container, step, end=len(container) - 1)]
    raise _DoesNotFit(f"there is nothing to enter at {step!r}")


def _parent(holder: dict[str, Any], steps: list[str]) -> Any:
    container: Any = holder
    for step in steps[:-1]:
        container = _step_into(container, step)
    return container


def _get(holder: dict[str, Any], steps: list[str]) -> Any:
    return _step_into(_parent(holder, steps), steps[-1])


def _put(holder: dict[str, Any], steps: list[str], value: Any) -> None:
    container, last = _parent(holder, steps), steps[-1]
    if isinstance(container, dict):
        container[last] = value
    elif isinstance(container, list):
        container.insert(_index(container, last, end=len(container)), value)
    else:
        raise _DoesNotFit(f"there is nothing to add {last!r} to")


def _take(holder: dict[str, Any], steps: list[str]) -> Any:
    container, last = _parent(holder, steps), steps[-1]
    value = _step_into(container, last)
    if isinstance(container, dict):
        del container[last]
    else:
        del container[int(last)]
    return value


def _add(holder: dict[str, Any], operation: dict[str, Any]) -> None:
    _put(holder, _steps(operation, "path"), copy_json(operation["value"]))


def _remove(holder: dict[str, Any], operation: dict[str, Any]) -> None:
    _take(holder, _steps(operation, "path"))


def _replace(holder: dict[str, Any], operation: dict[str, Any]) -> None:
    steps = _steps(operation, "path")
    container = _parent(holder, steps)
    _step_into(container, steps[-1])
    container[steps[-1] if isinstance(container, dict) else int(steps[-1])] = copy_json(operation["value"])


def _move(holder: dict[str, Any], operation: dict[str, Any]) -> None:
    source, target = _steps(operation, "from"), _steps(operation, "path")
    if target[: len(source)] == source and len(target) > len(source):
        raise _DoesNotFit("a value cannot be moved into itself")
    _put(holder, target, _take(holder, source))


def _copy(holder: dict[str, Any], operation: dict[str, Any]) -> None:
    _put(holder, _steps(operation, "path"), copy_json(_get(holder, _steps(operation, "from"))))


def _test(holder: dict[str, Any], operation: dict[str, Any]) -> None:
    found = _get(holder, _steps(operation, "path"))
    if not equal_json(found, operation["value"]):
        raise _DoesNotFit("the value is another")


_OPERATIONS: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
    "add": _add,
    "copy": _copy,
    "move": _move,
    "remove": _remove,
    "replace": _replace,
    "test": _test,
}
