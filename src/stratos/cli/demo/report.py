"""What a demo shows: the timeline, who waited how long, and how that compares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from stratos.cli.demo.play import Recording
from stratos.cli.demo.scenarios import Scenario
from stratos.cli.demo.witness import Path, PodRecord
from stratos.providers.simulated.registry import ImageRegistry

# From pending to a node that is ready, as the founding text publishes them. Not measured here.
PUBLISHED_NODE_SECONDS = {
    "Karpenter, node as published (40-50 s)": 45.0,
    "cluster-autoscaler, node as published (2-5 min)": 210.0,
}


def as_document(scenario: Scenario, warm: Recording, cold: Recording) -> dict[str, Any]:
    """The JSON document. Seconds are virtual; the controllers' share is wall-clock time."""
    warm_pods = [pod for pod in warm.pods if pod.path is Path.WARM]
    served = [pod.served_after_s for pod in warm_pods]
    kept = (
        bool(served)
        and all(seconds is not None and seconds <= scenario.promise_seconds for seconds in served)
        and all(pod.ready_s is not None for pod in warm.pods)
    )
    return {
        "scenario": scenario.name,
        "pods": [_pod(pod) for pod in warm.pods],
        "summary": {
            "warm_p50_s": percentile(_pending(warm_pods), 50),
            "warm_p99_s": percentile(_pending(warm_pods), 99),
            "cold_p50_s": percentile(_pending(cold.pods), 50),
            "warm_serving_p99_s": percentile([seconds for seconds in served if seconds is not None], 99),
            "cold_serving_p50_s": percentile(_serving(cold.pods), 50),
            "controller_share_p99_ms": percentile(warm.reactions_ms, 99),
            "nodes_started": warm.nodes_started,
            "nodes_launched": warm.nodes_launched,
            "cost_usd": round(warm.cost_usd, 4),
            "spot_saves_usd_per_hour": round(warm.spot_saves_usd_per_hour, 4),
            "unplaced_pods": sum(pod.bound_s is None for pod in warm.pods),
            "promise": scenario.promise,
            "promise_kept": kept,
        },
    }


def _pod(pod: PodRecord) -> dict[str, Any]:
    return {
        "name": pod.name,
        "created_s": _rounded(pod.created_s),
        "running_s": _rounded(pod.running_s),
        "ready_s": _rounded(pod.ready_s),
        "pending_s": _rounded(pod.pending_s),
        "node": pod.node,
        "path": pod.path,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _pending(pods: Sequence[PodRecord]) -> list[float]:
    return [pod.pending_s for pod in pods if pod.pending_s is not None]


def _serving(pods: Sequence[PodRecord]) -> list[float]:
    return [pod.served_after_s for pod in pods if pod.served_after_s is not None]


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that ``percent`` of them do not exceed; None of nothing."""
    if not values:
        return None
    rank = max(1, math.ceil(len(values) * percent / 100))
    return round(sorted(values)[rank - 1], 3)


def print_report(
    console: Console, scenario: Scenario, warm: Recording, cold: Recording, document: dict[str, Any]
) -> None:
    console.print(scenario.title)
    console.print(f"examples/{scenario.folder}, in virtual time, on a simulated cloud\n")
    for entry in warm.timeline:
        console.print(f"  {_clock(entry.at_s)}  {_told(entry.what, entry.names)}")
    console.print()
    console.print(_pod_table(warm))
    console.print()
    console.print(_comparison(scenario, document))
    summary = document["summary"]
    console.print(
        f"\n{summary['nodes_started']} starts from standby and {summary['nodes_launched']} launches in "
        f"{_clock(warm.ended_s)} of virtual time cost ${summary['cost_usd']:.2f}, standby disks included; "
        f"{summary['unplaced_pods']} pods unplaced."
    )
    if warm.spot_saves_usd_per_hour:
        console.print(f"With all pods on spot machines, the pool cost ${warm.spot_saves_usd_per_hour:.4f}/h less.")
    share = summary["controller_share_p99_ms"]
    measured = "–" if share is None else f"{share:.1f}"
    console.print(f"From a pod turning unschedulable to the call of the cloud: p99 {measured} ms, in wall-clock time.")
    console.print(f"The promise: {scenario.promise}: {'kept' if summary['promise_kept'] else 'BROKEN'}.")


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _told(what: str, names: Sequence[str]) -> str:
    if len(names) <= 1:
        return f"{what}: {names[0]}" if names else what
    return f"{what}: {names[0]} and {len(names) - 1} more"


def _pod_table(recording: Recording) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("POD", "PATH", "NODE"):
        table.add_column(name, no_wrap=True)
    for name in ("NO NODE FITS", "BOUND", "RUNNING", "SERVING"):
        table.add_column(name, justify="right", no_wrap=True)
    for pod in recording.pods:
        moments = (pod.unschedulable_s, pod.bound_s, pod.running_s, pod.ready_s)
        after = ["–" if moment is None else f"+{moment - pod.created_s:.1f} s" for moment in moments]
        table.add_row(pod.name, pod.path or "–", pod.node.split(".")[0], *after)
    return table


def _comparison(scenario: Scenario, document: dict[str, Any]) -> Table:
    """Warm and cold as measured here; what others publish is marked so, with this image's pull and load added."""
    summary = document["summary"]
    registry = ImageRegistry({scenario.image: scenario.image_bytes})
    extra = registry.pull_seconds(scenario.image)
    load = scenario.load_seconds.get(scenario.image, 0.0)
    table = Table(box=None, pad_edge=False)
    table.add_column("FROM CREATED TO …", no_wrap=True)
    table.add_column("RUNNING", justify="right")
    table.add_column("SERVING", justify="right")
    table.add_row("warm, measured here, p99", _seconds(summary["warm_p99_s"]), _seconds(summary["warm_serving_p99_s"]))
    table.add_row(
        "cold launch, measured here, median", _seconds(summary["cold_p50_s"]), _seconds(summary["cold_serving_p50_s"])
    )
    for name, node_seconds in PUBLISHED_NODE_SECONDS.items():
        running = node_seconds + extra
        table.add_row(f"{name} + this image", _seconds(running), _seconds(running + load))
    return table


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f} s"
