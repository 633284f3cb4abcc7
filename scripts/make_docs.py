"""Write the generated parts of docs/: the reference of resources and labels, and the drawing of who imports whom.

``--check`` writes nothing and fails when a file is not what it would write.
"""

from __future__ import annotations

import inspect
import json
import random
import re
import sys
from pathlib import Path
from typing import Any, cast

import grimp
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from stratos.agent.simulated_kubelet import behaviour
from stratos.apis import labels
from stratos.apis.crds import CUSTOM_KINDS, CustomKind, custom_resource_definition
from stratos.base.ids import SeededIds
from stratos.catalog.catalog import load_catalog
from stratos.controllers.webhook.keeper import KeeperSettings, certificate_keeper
from stratos.doorman.metrics import DoormanMetrics
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.kube.recorder import EventRecorder
from stratos.kube.transport import Transport
from stratos.providers.simulated.cloud import SimulatedCloud
from stratos.wiring.clock import SystemClock
from stratos.wiring.controllers import ControllerSettings, add_controllers
from stratos.wiring.installation.alerts import ALERTS
from stratos.wiring.installation.values import leaves
from stratos.wiring.process import leading_gauge

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN, END = "<!-- imports: begin -->", "<!-- imports: end -->"
QUIET = ("base", "apis", "catalog", "snapshot", "planning")


def main() -> None:
    wanted = {DOCS / "reference" / f"{custom.kind.kind.lower()}.md": resource_page(custom) for custom in CUSTOM_KINDS}
    wanted[DOCS / "reference" / "labels.md"] = labels_page()
    wanted[DOCS / "reference" / "values.md"] = values_page()
    wanted[DOCS / "reference" / "alerts.md"] = alerts_page()
    wanted[DOCS / "reference" / "metrics.md"] = metrics_page()
    architecture = DOCS / "architecture.md"
    wanted[architecture] = between(architecture.read_text(), import_drawing())
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(DOCS.parent)} is not what the code says: run `make docs`")
        sys.exit(bool(stale))
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path])
        print(f"wrote {path.relative_to(DOCS.parent)}")


def between(text: str, drawing: str) -> str:
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{drawing}\n{END}{rest.split(END)[1]}"


# The installation


def values_page() -> str:
    lines = [
        "# Values of an installation",
        "",
        "What `stratos install` takes by `--values` and `--set`, and the Helm chart too: see [install](../install.md).",
        "",
        "| Value | Default | |",
        "|---|---|---|",
    ]
    for leaf in leaves():
        default = json.dumps(leaf.default) if leaf.default is not None else ""
        choices = f"One of {', '.join(leaf.choices)}." if leaf.choices else ""
        told = f"{leaf.description} {choices}".strip()
        lines.append(f"| `{leaf.path}` | {f'`{default}`' if default else ''} | {told} |")
    return "\n".join(lines) + "\n"


def alerts_page() -> str:
    lines = [
        "# Alerts",
        "",
        "`prometheusRule.enabled` installs them for the Prometheus operator; others can copy the expressions.",
    ]
    for alert in ALERTS:
        lines += [
            "",
            f"## Stratos{alert.name}",
            "",
            f"{alert.severity.capitalize()}, when it has been so for {alert.lasting}: {alert.summary}",
            "",
            f"**What to do.** {alert.runbook}",
            "",
            "```promql",
            alert.expression,
            "```",
        ]
    return "\n".join(lines) + "\n"


# The drawing


def import_drawing() -> str:
    """The rooms and their imports as a Mermaid graph; an arrow that only shortens another path is left out."""
    graph = grimp.build_graph("stratos")
    rooms = sorted(room.removeprefix("stratos.") for room in graph.find_children("stratos"))
    arrows = {
        (importer, imported)
        for importer in rooms
        for imported in rooms
        if importer != imported
        and graph.find_illegal_dependencies_for_layers(
            layers=(f"stratos.{imported}", f"stratos.{importer}"), containers=None
        )
    }
    kept = sorted(arrow for arrow in arrows if not _shortens(arrow, arrows))
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'  {room}["{room}"]{":::quiet" if room in QUIET else ""}' for room in rooms]
    lines += [f"  {importer} --> {imported}" for importer, imported in kept]
    lines += ["  classDef quiet fill:#eef6ee,stroke:#7a9e7a", "```"]
    return "\n".join(lines)


def _shortens(arrow: tuple[str, str], arrows: set[tuple[str, str]]) -> bool:
    start, goal = arrow
    seen, stack = {start}, [b for a, b in arrows if a == start and b != goal]
    while stack:
        room = stack.pop()
        if room == goal:
            return True
        if room not in seen:
            seen.add(room)
            stack += [b for a, b in arrows if a == room]
    return False


# The reference


def resource_page(custom: CustomKind) -> str:
    definition = custom_resource_definition(custom)["spec"]
    version = definition["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    names = definition["names"]
    lines = [
        f"# {names['kind']}",
        "",
        "*Generated from the types by `make docs`.*",
        "",
        schema["description"],
        "",
        f"- apiVersion: `{definition['group']}/{version['name']}`",
        f"- scope: {definition['scope']}",
        f"- names: `{names['plural']}`, {', '.join(f'`{name}`' for name in names['shortNames'])}",
        f"- `kubectl get` shows: {', '.join(column['name'] for column in version['additionalPrinterColumns'])}",
    ]
    for part in ("spec", "status"):
        lines += ["", f"## {part}", "", "| Field | Type | Default | Meaning |", "|---|---|---|---|"]
        lines += _rows(schema["properties"][part], "")
        lines += _rules(schema["properties"][part], part)
    return "\n".join(lines) + "\n"


def _rows(schema: dict[str, Any], prefix: str) -> list[str]:
    rows = []
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        default = f"`{field['default']}`" if "default" in field else "**required**" if name in required else ""
        rows.append(
            f"| `{path}` | {_type(field)} | {default} | {field.get('description', '').replace('|', chr(92) + '|')} |"
        )
        nested = field.get("items", field)
        rows += _rows(nested, f"{path}[]." if "items" in field else f"{path}.")
    return rows


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return f"map to {_type(field['additionalProperties'])}"
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None or high is not None:
        return f"{field['type']}, {low if low is not None else '…'} to {high if high is not None else '…'}"
    if field.get("format") == "date-time":
        return "time"
    return str(field["type"])


def _rules(schema: dict[str, Any], place: str) -> list[str]:
    lines = [f"- {place}: {rule['message']}." for rule in schema.get("x-kubernetes-validations", [])]
    for name, field in schema.get("properties", {}).items():
        lines += [line for line in _rules(field, f"{place}.{name}") if line.startswith("- ")]
    return ["", "Rules:", "", *lines] if lines and "." not in place else lines


# Labels


_HEADING = re.compile(r"# ([^(\n]+)")
_CONSTANT = re.compile(r'[A-Z_]+ = "([^"]+)"  # (.+)')


def labels_page() -> str:
    """A section for each comment on a line of its own, and a row for each constant with a comment behind it."""
    lines = [
        "# Labels, annotations, taints and tags",
        "",
        "*Generated from the code by `make docs`.*",
        "",
        "What Stratos writes on a node it also keeps: changed by hand, it is put right. Times are RFC 3339.",
    ]
    for module in (labels, behaviour):
        for section in inspect.getsource(module).split("\n\n"):
            heading = _HEADING.match(section)
            if heading and (rows := _CONSTANT.findall(section)):
                lines += ["", f"## {heading[1].strip()}", "", "| Name | Meaning |", "|---|---|"]
                lines += [f"| `{name}` | {meaning} |" for name, meaning in rows]
    return "\n".join(lines) + "\n"


# Metrics


def metrics_page() -> str:
    """What the controllers and the doorman define on the registries they are given."""
    lines = ["# Metrics", "", "*Generated from the code by `make docs`.*"]
    for title, registry in (("stratos controller", _of_controllers()), ("stratos doorman", _of_doorman())):
        lines += ["", f"## `{title}`", "", "| Metric | Type | Labels | Buckets | Meaning |", "|---|---|---|---|---|"]
        lines += sorted(_metric_row(collector) for collector in set(_collectors(registry)))
    return "\n".join(lines) + "\n"


def _of_controllers() -> CollectorRegistry:
    registry, clock, chance = CollectorRegistry(), SystemClock(), random.Random(1)
    ids = SeededIds(chance)
    manager = Manager(Client(cast(Transport, None)), rng=chance)  # nothing of it runs, so nothing is asked
    cloud = SimulatedCloud(load_catalog("aws", "us-east-1"), clock=clock, rng=chance)
    settings = ControllerSettings(cluster_name="docs")
    add_controllers(manager, cloud, settings, clock=clock, ids=ids, rng=chance, registry=registry)
    recorder = EventRecorder(manager.client, "docs", clock=clock, ids=ids)
    certificate_keeper(manager, recorder, clock=clock, rng=chance, registry=registry, settings=KeeperSettings())
    leading_gauge(registry)
    return registry


def _of_doorman() -> CollectorRegistry:
    registry = CollectorRegistry()
    DoormanMetrics(registry)
    return registry


def _collectors(registry: CollectorRegistry) -> list[MetricWrapperBase]:
    """The library tells samples alone, and a metric with labels has none before it is used."""
    return [each for each in registry._collector_to_names if isinstance(each, MetricWrapperBase)]


def _metric_row(metric: MetricWrapperBase) -> str:
    ending = "_total" if metric._type == "counter" else ""
    labels_ = ", ".join(f"`{label}`" for label in metric._labelnames)
    bounds = metric._kwargs.get("buckets") or getattr(metric, "_upper_bounds", ()) or ()
    buckets = ", ".join(f"{bound:g}" for bound in bounds if bound != float("inf"))
    return f"| `{metric._name}{ending}` | {metric._type} | {labels_} | {buckets} | {metric._documentation} |"


if __name__ == "__main__":
    main()
