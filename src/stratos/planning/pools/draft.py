"""A plan for one machine while it is being written: what was seen, the steps so far, and the status after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec

from stratos.apis import labels
from stratos.apis.meta import with_condition
from stratos.apis.nodeclaim import ClaimCondition, NodeState
from stratos.apis.nodepool import PoolTemplate
from stratos.planning.pools.lifecycle import step_through
from stratos.planning.pools.nodes import Role, shape_node
from stratos.planning.pools.steps import MachinePlan, Nominate, Record, Shape, Step, Tag
from stratos.snapshot.machine import MachineSnapshot, MachineState

CLOUD_LAG = timedelta(seconds=10)
"""How long what the cloud says may contradict what it was asked before we believe that somebody else was at work."""

UNKNOWN_GRACE = timedelta(seconds=60)
"""How long after its launch a machine may be missing from the cloud's answers."""

UP = (MachineState.PENDING, MachineState.RUNNING)
ASLEEP = (MachineState.STOPPING, MachineState.STOPPED)


class Draft:
    """A plan being written: the steps so far, and the status as it will be after them."""

    def __init__(self, look: MachineSnapshot) -> None:
        self.look = look
        self.claim = look.claim
        self.now = look.taken_at
        self.status = look.claim.status
        self.template = look.settings.template if look.settings else PoolTemplate()
        self.steps: list[Step] = []

    # What was seen

    @property
    def seen(self) -> MachineState | None:
        return self.look.seen.state if self.look.seen else None

    @property
    def is_gone(self) -> bool:
        """The cloud has ended the machine, or has never heard of it although it should by now."""
        seen, launched_at = self.look.seen, self.status.launched_at
        if seen is None:
            return False
        if seen.state is not None:
            return seen.state.gone
        return launched_at is not None and seen.at > launched_at + UNKNOWN_GRACE

    def seen_since(self, moment: datetime | None) -> bool:
        """Whether the last sighting is late enough to tell what happened after ``moment``."""
        return self.look.seen is not None and (moment is None or self.look.seen.at >= moment + CLOUD_LAG)

    @property
    def name(self) -> str:
        return self.status.node_name or self.status.instance_id or self.claim.metadata.name

    # What to do

    def do(self, *steps: Step) -> None:
        self.steps += steps

    def record(self, **changes: Any) -> None:
        """Note a change of status; several in a row are written at once."""
        self.status = msgspec.structs.replace(self.status, **changes)
        if self.steps and isinstance(self.steps[-1], Record):
            self.steps.pop()
        if self.status != self.claim.status:
            self.steps.append(Record(self.status))

    def condition(self, type_: ClaimCondition, status: bool | None, reason: str, message: str = "") -> None:
        self.record(
            conditions=with_condition(
                self.status.conditions, type_, status, reason=reason, message=message, now=self.now
            )
        )

    def move(self, *states: NodeState, **changes: Any) -> None:
        """Go through ``states``, each of which must be legal after the one before."""
        before = self.status.state
        after = step_through(*(() if before is None else (before,)), *states)
        self.record(state=after, state_since=self.now, **changes)

    def shape(self, role: Role, *, lifted: bool = False, just_started: bool = False) -> None:
        node = self.look.node
        if node is None:
            return
        shape = shape_node(node, self.claim, self.status, self.template, role, lifted=lifted, just_started=just_started)
        if not shape.fits(node):
            self.do(Shape(shape))

    def nominate(self) -> None:
        """Promise the node to the pods it was wanted for: otherwise whoever is scheduled first takes their room."""
        decision = self.claim.spec.decision
        if decision is not None and decision.pods and self.look.node is not None:
            self.do(Nominate(decision.pods))

    @contextmanager
    def before_it_is_recorded(self) -> Iterator[None]:
        """What is done in the block comes before what was just noted is written: whoever reads it finds that done."""
        noted = self.steps.pop() if self.steps and isinstance(self.steps[-1], Record) else None
        yield
        if noted is not None:
            self.steps.append(noted)

    def tag_state(self, state: str, **more: str) -> None:
        self.do(Tag({labels.TAG_STATE: state, **more}))

    def plan(self, waits_for: str = "", look_again_seconds: float | None = None, *, follow: bool = True) -> MachinePlan:
        return MachinePlan(tuple(self.steps), waits_for, look_again_seconds, follow)

    def seconds_until(self, moment: datetime) -> float:
        return max(0.0, (moment - self.now).total_seconds())
