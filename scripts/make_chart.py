"""Write charts/stratos/: the Helm chart, from the same functions that `stratos install` builds its objects with.

The functions are given placeholders in the place of values, and the text that comes out has Helm's expressions put
where the placeholders are. ``--check`` writes nothing and fails when a file is not what it would write.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from stratos.apis.crds import custom_resource_definitions
from stratos.apis.namespace import SYSTEM_NAMESPACE
from stratos.providers.aws.permissions import iam_policy
from stratos.wiring.installation import Part, Values
from stratos.wiring.installation.controller import CHECKSUM
from stratos.wiring.installation.parts import all_parts
from stratos.wiring.installation.pods import VERSION
from stratos.wiring.installation.values import Leaf, leaves
from stratos.wiring.installation.yaml_text import manifests_yaml

CHART = Path(__file__).resolve().parent.parent / "charts" / "stratos"
DEFAULTS = {leaf.path: leaf.default for leaf in leaves()}
MAY_BE_EMPTIED = frozenset({"priorityClassName"})  # texts that are left out when empty, though they are not by default


class Placeholder(str):
    """Stands for a value. Spread into a list or a map it stands for what would be spread there."""

    __slots__ = ()

    def __iter__(self) -> Iterator[str]:
        return iter((f"⟦*{self[1:]}",))

    def keys(self) -> tuple[str]:
        return (f"⟦**{self[1:]}",)

    def __getitem__(self, key: Any) -> str:
        return "" if isinstance(key, str) else super().__getitem__(key)

    def rpartition(self, sep: str, /) -> tuple[str, str, str]:
        """Of an address, taken apart for its port."""
        return "", sep, f"{self[:-1]}|port⟧"


def main() -> None:
    wanted = chart_files()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    extra = [path for path in sorted(CHART.rglob("*")) if path.is_file() and path not in wanted]
    if "--check" in sys.argv:
        for path in (*stale, *extra):
            print(f"{path.relative_to(CHART.parent.parent)} is not what the code says: run `make docs`")
        sys.exit(bool(stale or extra))
    for path in extra:
        path.unlink()
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path])
        print(f"wrote {path.relative_to(CHART.parent.parent)}")


def chart_files() -> dict[Path, str]:
    files = {
        CHART / "Chart.yaml": chart_yaml(),
        CHART / "values.yaml": values_yaml(),
        CHART / "values.schema.json": values_schema(),
        CHART / "iam-policy.json": as_json(iam_policy("CLUSTER_NAME")),
        CHART / "templates" / "NOTES.txt": NOTES,
    }
    for definition in custom_resource_definitions():
        files[CHART / "crds" / f"{definition['spec']['names']['plural']}.yaml"] = manifests_yaml([definition])
    for part in all_parts(placeholders(Values(), "")):
        if part.name != "crds":  # Helm installs those of crds/ before it looks at any template
            files[CHART / "templates" / f"{part.name}.yaml"] = template(part)
    return files


def placeholders(section: Any, prefix: str) -> Any:
    """The section with a placeholder for each of its values."""
    values = {}
    for field in msgspec.structs.fields(section):
        value, path = getattr(section, field.name), f"{prefix}{field.encode_name}"
        is_section = isinstance(value, msgspec.Struct)
        values[field.name] = placeholders(value, f"{path}.") if is_section else Placeholder(f"⟦{path}⟧")
    return type(section)(**values)


# Templates


def template(part: Part) -> str:
    text = manifests_yaml(plain(list(part.objects))).replace("{{", '{{ "{{" }}')
    body = "\n".join(line for dumped in text.splitlines() for line in expressions(dumped)) + "\n"
    if part.when:
        body = f"{{{{- if {condition(part.when)} }}}}\n{body}{{{{- end }}}}\n"
    return body + GUARD if part.name == "namespace" else body


def condition(when: str) -> str:
    path, equals, wanted = when.partition("=")
    return f'eq .Values.{path} "{wanted}"' if equals else f".Values.{path}"


def plain(value: Any) -> Any:
    """Without the subclass of text that YAML does not know."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def expressions(line: str) -> Iterator[str]:
    """The lines of the template that one line with placeholders becomes."""
    indent = " " * (len(line) - len(line.lstrip()))
    if CHECKSUM in line:
        yield f'{indent}{CHECKSUM}: {{{{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}}}'
    elif spread := re.fullmatch(r"\s*(?:- ⟦\*([\w.]+)⟧|⟦\*\*([\w.]+)⟧: '')", line):
        yield f"{indent}{{{{- with .Values.{spread[1] or spread[2]} }}}}"
        yield f"{indent}{{{{- toYaml . | nindent {len(indent)} }}}}"
        yield f"{indent}{{{{- end }}}}"
    elif whole := re.fullmatch(r"(\s*(?:- )?[\w./-]+): ⟦([\w.]+)⟧", line):
        yield from field(whole[1], whole[2], indent)
    elif "⟦" in line:
        before, value = re.fullmatch(r"(\s*(?:- )?(?:[\w./-]+: )?)(.*)", line).groups()  # type: ignore[union-attr]
        inner = re.sub(r"⟦([\w.]+)(\|port)?⟧", lambda found: expression(found[1], found[2]), value)
        yield before + (inner if value.endswith("|port⟧") else f'"{inner}"')
    else:
        yield line


def field(key: str, path: str, indent: str) -> Iterator[str]:
    default, name = DEFAULTS[path], f".Values.{path}"
    if isinstance(default, dict | list):
        yield f"{indent}{{{{- with {name} }}}}"
        yield f"{key}:"
        yield f"{indent}  {{{{- toYaml . | nindent {len(indent) + 2} }}}}"
        yield f"{indent}{{{{- end }}}}"
    elif path == "clusterName":
        hint = "set clusterName: machines in the cloud are told from others by that name"
        yield f'{key}: {{{{ required "{hint}" {name} | quote }}}}'
    elif default is None:
        yield f'{indent}{{{{- if not (kindIs "invalid" {name}) }}}}'
        yield f"{key}: {{{{ {name} }}}}"
        yield f"{indent}{{{{- end }}}}"
    elif default == "" or path in MAY_BE_EMPTIED:
        yield f"{indent}{{{{- with {name} }}}}"
        yield f"{key}: {{{{ . | quote }}}}"
        yield f"{indent}{{{{- end }}}}"
    else:
        yield f"{key}: {{{{ {name}{' | quote' if isinstance(default, str) else ''} }}}}"


def expression(path: str, port: str | None) -> str:
    if port:
        return f'{{{{ last (splitList ":" .Values.{path}) }}}}'
    return f"{{{{ .Values.{path}{' | default .Chart.AppVersion' if path == 'image.tag' else ''} }}}}"


GUARD = f"""{{{{- if ne .Release.Namespace "{SYSTEM_NAMESPACE}" }}}}
{{{{- fail "Stratos lives in {SYSTEM_NAMESPACE}: helm install … --namespace {SYSTEM_NAMESPACE} --create-namespace" }}}}
{{{{- end }}}}
"""

NOTES = """Stratos runs in {{ .Release.Namespace }}, for the cluster {{ .Values.clusterName }}.

Next: a node class and a NodePool or a NodeTemplate; examples/ has some to copy.
What its role must allow on AWS: iam-policy.json of this chart, or stratos install --print-iam-policy.
Helm does not upgrade kinds. After an upgrade of this chart: stratos crds | kubectl apply --server-side -f -
"""


# What surrounds them


def chart_yaml() -> str:
    chart = {
        "apiVersion": "v2",
        "name": "stratos",
        "description": "Every workload gets the right machine, already warm, at the lowest price.",
        "type": "application",
        "version": VERSION,
        "appVersion": VERSION,
        "kubeVersion": ">=1.27.0-0",
        "keywords": ["autoscaling", "nodes", "warm pools", "spot"],
    }
    return yaml.safe_dump(chart, sort_keys=False, width=120)


def values_yaml() -> str:
    lines = ["# The values of an installation, as `stratos install --values` and Helm read them."]
    sections: tuple[str, ...] = ()
    for leaf in leaves():
        *outer, name = leaf.path.split(".")
        known = next((depth for depth in range(len(outer), 0, -1) if tuple(outer[:depth]) == sections[:depth]), 0)
        lines.extend(f"{'  ' * depth}{outer[depth]}:" for depth in range(known, len(outer)))
        sections = tuple(outer)
        lines += indented(leaf, name, "  " * len(outer))
    return "\n".join(lines) + "\n"


def indented(leaf: Leaf, name: str, indent: str) -> list[str]:
    comment = [f"{indent}# {leaf.description}"] if leaf.description else []
    flow = not leaf.default if isinstance(leaf.default, dict | list) else None
    text = yaml.safe_dump({name: leaf.default}, default_flow_style=None if flow else False, sort_keys=False, width=110)
    return [*comment, *(f"{indent}{line}" for line in text.replace(f"{name}: null", f"{name}:").splitlines())]


def values_schema() -> str:
    schema = msgspec.json.schema(Values)
    return as_json({"$schema": "http://json-schema.org/draft-07/schema#", **schema})


def as_json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


if __name__ == "__main__":
    main()
