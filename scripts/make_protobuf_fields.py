"""Distil the wire format of the built-in kinds from the Go types of ``k8s.io/api``.

    python scripts/make_protobuf_fields.py DIRECTORY_OF_K8S_IO

The directory is the ``k8s.io`` of a Go source tree that has ``api`` and ``apimachinery`` (Debian: golang-k8s-api-dev
and golang-k8s-apimachinery-dev). Only facts are taken over: which field has which number, name and type.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path

OUTPUT = Path(__file__).parent.parent / "src/stratos/apiserver/http/protobuf_fields.json.gz"
PACKAGES = {
    "meta/v1": "apimachinery/pkg/apis/meta/v1",
    **{
        name: f"api/{name}"
        for name in (
            "admissionregistration/v1",
            "apps/v1",
            "authentication/v1",
            "authorization/v1",
            "autoscaling/v1",
            "autoscaling/v2",
            "batch/v1",
            "coordination/v1",
            "core/v1",
            "discovery/v1",
            "events/v1",
            "networking/v1",
            "node/v1",
            "policy/v1",
            "rbac/v1",
            "scheduling/v1",
            "storage/v1",
        )
    },
}
IMPORTED = {"metav1": "meta/v1", "corev1": "core/v1", "v1": "core/v1", "apiv1": "core/v1"}
SPECIAL = {
    "metav1.Time": "Time",
    "metav1.MicroTime": "MicroTime",
    "metav1.Duration": "Duration",
    "metav1.FieldsV1": "RawJson1",
    "runtime.RawExtension": "RawJson1",
    "resource.Quantity": "Quantity",
    "intstr.IntOrString": "IntOrString",
    "[]byte": "bytes",
    "types.UID": "string",
}
SCALARS = {"string": "string", "bool": "bool", "int32": "int", "int64": "int", "int": "int", "float64": "double"}

_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"^(?:type |\t)(\w+) ((?:map\[\w+\]|\[\])?[\w.]+)$", re.MULTILINE)
_FIELD = re.compile(r"^\t(?:\w+\s+)?(\S+)\s+`json:\"([^\"]*)\"[^`]*? protobuf:\"\w+,(\d+),[^\"]*\"`", re.MULTILINE)

Field = list[object]


class Package:
    """One Go package: its structs, and what its other type names stand for."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        text = (directory / "types.go").read_text()
        self.structs: dict[str, str] = dict(_STRUCT.findall(text))
        self.named: dict[str, str] = dict(_NAMED.findall(text))


class Tree:
    """The packages together, as they refer to each other."""

    def __init__(self, root: Path) -> None:
        self._packages = {name: Package(name, root / where) for name, where in PACKAGES.items()}

    def messages(self) -> dict[str, list[Field]]:
        return {
            f"{package.name}.{name}": [self._field(package, *field) for field in _FIELD.findall(body)]
            for package in self._packages.values()
            for name, body in sorted(package.structs.items())
            if not name.endswith("List") and _FIELD.search(body)
        }

    def _field(self, package: Package, go_type: str, tag: str, number: str) -> Field:
        json_name, *options = tag.split(",")
        kind, shape = self._meaning(package, go_type.lstrip("*"))
        droppable = "omitempty" in options and not go_type.startswith("*")
        return [int(number), json_name, kind, shape + ("o" if droppable else "")]

    def _meaning(self, package: Package, go_type: str) -> tuple[str, str]:
        """What a Go type is on the wire, and its shape: ``l`` for a list, ``m`` for a map with text keys."""
        special = SPECIAL.get(go_type) or (SPECIAL.get(f"metav1.{go_type}") if package.name == "meta/v1" else None)
        if special:
            return special, ""
        if go_type in SCALARS:
            return SCALARS[go_type], ""
        if go_type.startswith("[]"):
            return self._meaning(package, go_type[2:].lstrip("*"))[0], "l"
        if go_type.startswith("map["):
            value = go_type.partition("]")[2]
            # A named list is a message of its own, with the items in field 1.
            named_list = package.named.get(value, "").startswith("[]")
            return ("strings" if named_list else self._meaning(package, value)[0]), "m"
        prefix, _, name = go_type.rpartition(".")
        owner = self._packages[IMPORTED[prefix]] if prefix else package
        if name in owner.structs:
            return f"{owner.name}.{name}", ""
        return self._meaning(owner, owner.named[name])


def main() -> None:
    messages = Tree(Path(sys.argv[1])).messages()
    text = json.dumps(messages, separators=(",", ":"), sort_keys=True)
    OUTPUT.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{len(messages)} messages, {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
