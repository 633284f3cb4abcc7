"""What each demo plays: manifests from ``examples/``, how demand moves, and the promise it is held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import stratos
from stratos.base.errors import NotFound
from stratos.providers.simulated.registry import GIGABYTE, MEGABYTE


class Turn(StrEnum):
    """What else than demand may change."""

    DEMAND = "demand"  # nothing else
    SPOT_TAKES_OVER = "spot takes over"  # time passes, until all pods run on spot machines
    TAKEN_BACK = "taken back"  # the cloud takes a spot machine back, at the usual notice


@dataclass(frozen=True, slots=True)
class Step:
    """Demand changes: the workload gets so many replicas, and the story goes on when that has settled."""

    replicas: int
    story: str
    turn: Turn = Turn.DEMAND


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    title: str
    folder: str  # under examples/
    pool: str
    deployment: str  # namespace/name
    image: str
    image_bytes: int
    steps: tuple[Step, ...]
    promise: str
    promise_seconds: float  # from created to ready, for every warm pod
    load_seconds: Mapping[str, float] = field(default_factory=dict)  # by image: from started to ready

    @property
    def demand(self) -> int:
        """The most replicas that are wanted at once."""
        return max(step.replicas for step in self.steps)


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name="ci",
            title="CI runners: a pipeline triggers, and agents start on machines that stood by",
            folder="ci-runners",
            pool="ci-runners",
            deployment="default/jenkins-agent",
            image="jenkins/inbound-agent:latest",
            image_bytes=600 * MEGABYTE,
            steps=(
                Step(0, "the first pipeline is done"),
                Step(5, "a pipeline triggers: five agents"),
                Step(0, "the pipeline is done"),
                Step(5, "the next pipeline triggers"),
            ),
            promise="every agent runs within 30 s of being asked for, image and all",
            promise_seconds=30,
        ),
        Scenario(
            name="llm",
            title="Model serving: a demand spike, and new replicas need no image pull",
            folder="llm-inference",
            pool="inference",
            deployment="default/llm-server",
            image="my-registry.com/llama-3:70b",
            image_bytes=40 * GIGABYTE,
            steps=(Step(3, "demand spikes: two more replicas"), Step(1, "the spike is over")),
            promise="every new replica serves within two minutes, model loaded",
            promise_seconds=120,
            load_seconds={"my-registry.com/llama-3:70b": 90},
        ),
        Scenario(
            name="scale-to-zero",
            title="Scale to zero: nothing runs until a request comes",
            folder="scale-to-zero",
            pool="on-demand",
            deployment="default/my-service",
            image="my-app:latest",
            image_bytes=300 * MEGABYTE,
            steps=(
                Step(1, "a request arrives"),
                Step(0, "traffic stops"),
                Step(2, "requests arrive again"),
                Step(0, "traffic stops"),
            ),
            promise="every replica serves within the 30 s a held request waits",
            promise_seconds=30,
        ),
        Scenario(
            name="spot",
            title="Spot replacement: spot machines take over from those that stood by, and fall back to them",
            folder="spot-optimized",
            pool="spot-optimized",
            deployment="default/my-service",
            image="my-app:latest",
            image_bytes=300 * MEGABYTE,
            steps=(
                Step(0, "nobody is there yet"),
                Step(3, "traffic rises"),
                Step(3, "it stays: spot machines take over", Turn.SPOT_TAKES_OVER),
                Step(3, "the cloud takes a spot machine back", Turn.TAKEN_BACK),
            ),
            promise="every replica that needs a machine serves within 30 s of being asked for",
            promise_seconds=30,
        ),
    )
}


def examples_directory() -> Path:
    """Where the manifests are: inside an installed package, or beside the sources of a checkout."""
    package = Path(stratos.__file__).parent
    for place in (package / "examples", package.parents[1] / "examples"):
        if place.is_dir():
            return place
    raise NotFound(f"the examples are not installed beside {package}", hint="install the package again")
