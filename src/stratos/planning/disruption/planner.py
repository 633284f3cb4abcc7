"""Which machines of templates go, in the order of need: broken, too old, no longer as wished, unused, too dear.

Each decision supposes that all before it are carried out, those under way included, so that no two count on the same
room. The same snapshot gives the same plan, whatever the order of what is in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from stratos.apis.meta import find_condition
from stratos.apis.nodeclaim import ClaimCondition, NodeState
from stratos.base.duration import format_duration, parse_duration_seconds
from stratos.base.errors import Invalid
from stratos.planning.disruption.departures import Departures
from stratos.planning.disruption.drift import drift
from stratos.planning.disruption.machines import TemplateMachine, by_age, machines_of
from stratos.planning.disruption.plan import Blocked, Disruption, DisruptionPlan, Reason
from stratos.planning.disruption.pod_budgets import PodBudgets
from stratos.planning.disruption.replacing import Leaving, Market, replace_machines
from stratos.planning.disruption.room import Compile, Room
from stratos.planning.disruption.savings import cheaper
from stratos.planning.disruption.usage import (
    expected_claims,
    is_little_used,
    marks,
    threshold,
    unneeded_since,
    unneeded_until,
)
from stratos.planning.disruption.ways import Obstacle, Way, obstacle_of_node, way_out
from stratos.planning.interruptions.notices import presses
from stratos.snapshot.disruption import DisruptionSnapshot


def plan_disruption(look: DisruptionSnapshot, compile_pod: Compile | None = None) -> DisruptionPlan:
    """What to begin now. ``compile_pod`` may remember what pods ask for from one plan to the next."""
    return _Planner(look, compile_pod).plan()


class _Planner:
    def __init__(self, look: DisruptionSnapshot, compile_pod: Compile | None) -> None:
        self._look = look
        self._world = look.world
        self._now = look.world.taken_at
        self._machines = machines_of(look.world)
        self._by_name = {machine.name: machine for machine in self._machines}
        self._room = Room(look.world, compile_pod)
        self._market = Market(look.world)
        self._budgets = PodBudgets(look.budgets)
        self._awaited = {
            name
            for machine in self._machines
            if machine.claim.spec.departure is not None
            for name in machine.claim.spec.departure.replacements
        }
        self._expected = expected_claims(look.world.cluster.pods, self._machines)
        self._disruptions: list[Disruption] = []
        self._departures = Departures(self._machines, self._now)
        self._blocked: list[Blocked] = []
        self._due: list[datetime] = []

    def plan(self) -> DisruptionPlan:
        self._suppose_what_is_under_way()
        self._repair()
        self._renew()
        self._remove_empty()
        self._remove_little_used()
        self._save()
        return DisruptionPlan(
            disruptions=tuple(self._disruptions),
            marks=marks(self._machines, self._expected, self._now),
            blocked=tuple(self._blocked),
            cost_usd_per_hour=sum(self._market.price(machine) for machine in self._machines if machine.stays),
            look_again_at=min((moment for moment in self._due if moment > self._now), default=None),
        )

    def _suppose_what_is_under_way(self) -> None:
        leaving = [
            machine
            for machine in self._machines
            if machine.node is not None and (machine.claim.spec.departure is not None or not self._remains(machine))
        ]
        for machine in leaving:
            self._room.close(machine.node_name)
        for machine in leaving:
            departure = machine.claim.spec.departure
            promised = self._promised_by(departure.replacements) if departure is not None else set()
            # Where there is no room for all, some will wait for another machine: nothing of it can be counted on.
            self._move(machine, promised)

    def _promised_by(self, claims: Collection[str]) -> set[str]:
        """The pods that have a place on machines which are not in service yet."""
        coming = (each for each in self._machines if each.name in claims and not each.in_service)
        return {pod for each in coming if each.claim.spec.decision for pod in each.claim.spec.decision.pods}

    def _move(self, machine: TemplateMachine, promised: Collection[str]) -> None:
        pods = [pod for pod in machine.pods if pod.metadata.key not in promised]
        self._room.move_off(machine.node_name, pods)

    # What is wrong with a machine

    def _repair(self) -> None:
        for machine in self._machines:
            after = machine.settings.repair_after
            if after is None or machine.name in self._departures.names or not machine.stays:
                continue
            ready = find_condition(machine.claim.status.conditions, ClaimCondition.READY)
            in_use = machine.claim.status.state is NodeState.RUNNING  # before, its time to join is limited
            if not in_use or ready is None or ready.status == "True" or ready.last_transition_time is None:
                continue
            since = ready.last_transition_time
            if self._is_due(since + timedelta(seconds=parse_duration_seconds(after))):
                lasted = format_duration((self._now - since).total_seconds())
                if self._is_allowed(machine, Reason.UNHEALTHY):
                    message = f"its node has not been ready for {lasted}: {ready.message or ready.reason}"
                    self._begin(self._without_replacement(machine, Reason.UNHEALTHY, message))

    def _renew(self) -> None:
        """Before the cloud takes them; expired ones one by one, the oldest first; drifted ones as budgets allow."""
        for machine in sorted(self._idle_machines(), key=by_age):
            template, expires_at = machine.template, machine.expires_at
            if machine.is_about_to_be_interrupted:
                self._renew_one(machine, Reason.INTERRUPTION, "it is predicted that the cloud will take it back")
            elif expires_at is not None and self._is_due(expires_at):
                self._renew_one(machine, Reason.EXPIRED, f"it is older than nodeTTL {machine.settings.node_ttl}")
            elif template is not None and template.spec.disruption.replace_drifted:
                changed = drift(machine, template, self._market.allowed(template))
                if changed:
                    self._renew_one(machine, Reason.DRIFTED, changed)

    def _renew_one(self, machine: TemplateMachine, reason: Reason, message: str) -> None:
        if self._room.expects(machine.node_name):
            return  # pods are on their way there: not now
        if reason is Reason.EXPIRED and self._departures.of(machine.claim.spec.template, reason):
            return  # one at a time, whatever the budgets would allow
        if not self._is_allowed(machine, reason):
            return
        overlapping = self._may_move(machine, reason)
        if overlapping is None:
            return
        if self._moves_elsewhere(machine, overlapping):
            self._begin(self._without_replacement(machine, reason, message))
            return
        template = machine.template
        found = (
            replace_machines(
                Leaving(template, (machine,), overlapping), self._room, self._market, reason, message, self._world
            )
            if template is not None
            else None
        )
        if found is None:
            self._block(machine, reason, "room", "no machine can be had now that would take its pods")
        else:
            self._begin_replacing(found)

    # What costs more than it should

    def _remove_empty(self) -> None:
        for machine in self._idle_machines():
            since = self._unneeded(machine)
            if since is None or machine.pods or not self._may_save(machine, Reason.EMPTY):
                continue
            if self._room.expects(machine.node_name):
                continue
            if not self._is_due(unneeded_until(machine, since)) or not self._is_allowed(machine, Reason.EMPTY):
                continue
            if self._may_move(machine, Reason.EMPTY) is not None:
                lasted = format_duration((self._now - since).total_seconds())
                message = f"no pod of a workload has run there for {lasted}"
                self._begin(self._without_replacement(machine, Reason.EMPTY, message))

    def _remove_little_used(self) -> None:
        for machine in sorted(self._idle_machines(), key=lambda each: (each.usage, each.name)):
            since = self._unneeded(machine)
            if since is None or not machine.pods or not self._may_save(machine, Reason.UNDERUTILIZED):
                continue
            if self._room.expects(machine.node_name):
                continue
            if not self._is_due(unneeded_until(machine, since)) or not self._is_allowed(machine, Reason.UNDERUTILIZED):
                continue
            overlapping = self._may_move(machine, Reason.UNDERUTILIZED)
            if overlapping is None:
                continue
            refused = self._room.move_off(machine.node_name, machine.pods, overlapping=overlapping)
            if refused is not None:
                self._block(machine, Reason.UNDERUTILIZED, "room", refused.message)
                continue
            message = f"its pods ask for {machine.usage:.0%} of it, the threshold is {threshold(machine):.0%}"
            self._begin(self._without_replacement(machine, Reason.UNDERUTILIZED, message))

    def _save(self) -> None:
        """Only when no machine of the template is on its way out: what it leaves decides what is worth doing next."""
        if self._world.waiting:
            return  # machines are being got: where their pods go is not known yet
        for template in self._world.templates:
            spec = template.spec
            if spec.disruption.policy != "WhenEmptyOrUnderutilized":
                continue
            machines = [machine for machine in self._idle_machines() if machine.template is template]
            if not machines or self._departures.of(template.metadata.name):
                continue
            allowed = self._allowance(machines[0], Reason.CHEAPER)
            movable: dict[str, frozenset[str]] = {}
            for machine in machines:
                if machine.pods and not self._room.expects(machine.node_name):
                    overlapping = self._may_move(machine, None)
                    if overlapping is not None:
                        movable[machine.name] = overlapping
            found = cheaper(
                template,
                [(machine, movable[machine.name]) for machine in machines if machine.name in movable],
                self._room,
                self._market,
                self._world,
                allowed,
            )
            self._due += found.due_at
            if found.disruption is not None:
                self._begin_replacing(found.disruption)

    # What several of these ask

    def _idle_machines(self) -> Iterator[TemplateMachine]:
        """Those in service that nothing is planned with, and that no pod is on its way to."""
        for machine in self._machines:
            if (
                machine.name in self._departures.names
                or machine.name in self._awaited
                or machine.name in self._expected
            ):
                continue
            serves = machine.in_service and machine.template is not None and self._remains(machine)
            if serves and self._is_due(machine.not_before):
                yield machine

    def _remains(self, machine: TemplateMachine) -> bool:
        """Whether it is to serve; one that the cloud takes back within minutes is left to those who make haste."""
        return machine.stays and not presses(machine.claim, self._now)

    def _unneeded(self, machine: TemplateMachine) -> datetime | None:
        """Since when it has been little used; a mark that holds no more is not heeded, though it is still there."""
        return unneeded_since(machine) if is_little_used(machine) else None

    def _may_save(self, machine: TemplateMachine, reason: Reason) -> bool:
        policy = machine.settings.policy
        return policy == "WhenEmptyOrUnderutilized" or (policy == "WhenEmpty" and reason is Reason.EMPTY)

    def _may_move(self, machine: TemplateMachine, reason: Reason | None) -> frozenset[str] | None:
        """The pods that would overlap with their replacement. None when something bars the way; told if ``reason``."""
        node = machine.node
        assert node is not None  # it is in service
        obstacle = obstacle_of_node(node, machine.claim)
        overlapping = set()
        for pod in machine.pods:
            if obstacle is not None:
                break
            if pod.metadata.deletion_timestamp is None:
                way = way_out(pod, self._look.workloads, self._budgets, machine.settings.single_replica)
                if isinstance(way, Obstacle):
                    obstacle = way
                elif way is Way.SURGE:
                    overlapping.add(pod.metadata.key)
        if obstacle is None:
            return frozenset(overlapping)
        if reason is not None:
            self._block(machine, reason, obstacle.by, f"node {node.metadata.name} stays: {obstacle.message}")
        return None

    def _moves_elsewhere(self, machine: TemplateMachine, overlapping: frozenset[str]) -> bool:
        return self._room.move_off(machine.node_name, machine.pods, overlapping=overlapping) is None

    def _is_due(self, moment: datetime | None) -> bool:
        if moment is None or self._now >= moment:
            return True
        self._due.append(moment)
        return False

    def _is_allowed(self, machine: TemplateMachine, reason: Reason) -> bool:
        if self._allowance(machine, reason) > 0:
            return True
        self._block(machine, reason, "budget", f"the budgets of NodeTemplate {machine.claim.spec.template} are used up")
        return False

    def _allowance(self, machine: TemplateMachine, reason: Reason) -> int:
        try:
            return self._departures.allowed(machine, reason)
        except Invalid as error:
            self._block(machine, reason, "budget", error.message)
            return 0

    def _without_replacement(self, machine: TemplateMachine, reason: Reason, message: str) -> Disruption:
        return Disruption(
            reason=reason,
            message=message,
            claims=(machine.name,),
            pods=tuple(sorted(pod.metadata.key for pod in machine.pods)),
            cost_before_usd_per_hour=self._market.price(machine),
        )

    def _begin(self, disruption: Disruption) -> None:
        self._disruptions.append(disruption)
        self._departures.begin(disruption)
        for name in disruption.claims:
            self._room.close(self._by_name[name].node_name)

    def _begin_replacing(self, disruption: Disruption) -> None:
        self._begin(disruption)
        promised = {pod for machine in disruption.machines for pod in machine.pods}
        for name in disruption.claims:
            self._move(self._by_name[name], promised)

    def _block(self, machine: TemplateMachine, reason: Reason, by: str, message: str) -> None:
        self._blocked.append(Blocked(machine.name, reason, by, message))
