"""One plan for all pods that wait: who serves them, which machines they get, who is told what.

The order: learn from claims that failed, give pods the nodes that are coming for them, then let each template in turn,
the heaviest first, serve what is its to serve; what one cannot place goes on to the next that may. Nothing here is a
disaster if the snapshot is old: machines that are counted twice are found empty and go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from stratos.apis.nodeclaim import Decision
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import Pod
from stratos.base.errors import Invalid
from stratos.base.words import counted
from stratos.catalog.instance_type import CapacityType
from stratos.planning.packing.pack import Effort
from stratos.planning.packing.problem import Relaxation, Unplaced
from stratos.planning.provisioning.asks import PodAsks, asks_of
from stratos.planning.provisioning.back_off import BackOffs, failures_of, gives_up_at
from stratos.planning.provisioning.basket import Basket, Chosen, closed
from stratos.planning.provisioning.bounds import lower_bound_of
from stratos.planning.provisioning.decisions import describe_decision
from stratos.planning.provisioning.diversity import diversify
from stratos.planning.provisioning.draft import settings_of
from stratos.planning.provisioning.estimates import REASON as ESTIMATE
from stratos.planning.provisioning.estimates import estimate_events, is_price, no_estimate
from stratos.planning.provisioning.existing import Existing, existing_nodes
from stratos.planning.provisioning.limits import Budget
from stratos.planning.provisioning.plan import NewMachine, PodEvent, ProvisioningPlan
from stratos.planning.provisioning.serving import Serving, can_serve, serving_order
from stratos.planning.provisioning.strategies import Group, Shelf, fill, tell_ways_out
from stratos.planning.provisioning.validation import problems_of
from stratos.planning.scheduling.compiling import volume_needs_in
from stratos.planning.scheduling.daemons import compile_daemons
from stratos.planning.scheduling.rejection import Rule
from stratos.snapshot.provisioning import ProvisioningSnapshot, Told

WARNING = "NodeAddRequestWarning"
TOLD_FOR = timedelta(hours=1)
"""An event that says the same is not repeated for so long."""


def plan_provisioning(
    look: ProvisioningSnapshot, *, effort: Effort = Effort.BEST, tells_ways_out: bool = False
) -> ProvisioningPlan:
    """What to ask for, for all pods that wait in ``look``. The same for any order of what it holds.

    ``tells_ways_out``: pods that are left over are told what they would have to give up, which takes a while.
    """
    return _Planning(look, effort, tells_ways_out=tells_ways_out).plan()


class _Planning:
    def __init__(self, look: ProvisioningSnapshot, effort: Effort, *, tells_ways_out: bool) -> None:
        self._look = look
        self._tells_ways_out = tells_ways_out
        self._effort = effort
        self._now = look.taken_at
        self._failures = failures_of(look.claims, look.templates, self._now)
        self._back_offs = BackOffs(look.templates, look.claims, self._failures, self._now, look.backed_off)
        self._templates = sorted(look.templates, key=lambda each: (-each.spec.weight, each.metadata.name))
        self._unusable = {each.metadata.name: self._why_unusable(each) for each in self._templates}
        self._daemons = compile_daemons(look.daemon_sets)
        self._report: list[str] = []
        self._asks, self._unreadable = self._read(look.waiting)
        self._served = self._serve(look.waiting, self._asks)

    def plan(self) -> ProvisioningPlan:
        budget = self._budget()
        known = self._existing()
        basket = Basket(
            known.nodes, budget=budget, effort=self._effort, namespace_labels=self._look.cluster.namespace_labels
        )
        waiting = {key: asks for key, asks in self._asks.items() if key not in known.promised}
        groups, unplaced = self._provide(basket, budget, waiting)
        machines = self._new_machines(groups, basket)
        assignments = {**known.promised, **_onto_nodes(groups, basket)}
        lost = (*unplaced, *self._unreadable, *self._unserved())
        left = tuple(sorted(lost, key=lambda each: each.pod))
        return ProvisioningPlan(
            machines=machines,
            assignments=dict(sorted(assignments.items())),
            unplaced=left,
            events=(*self._warnings(left), *self._estimates(known)),
            cost_usd_per_hour=sum(machine.candidate.price_usd_per_hour for machine in machines),
            lower_bound_usd_per_hour=lower_bound_of(groups),
            backed_off=self._back_offs.by_template(),
            failed_claims=tuple(failure.claim for failure in self._failures),
            report=tuple(dict.fromkeys((*self._report, *(line for group in groups for line in group.packing.report)))),
            look_again_at=self._look_again_at(left),
        )

    def _why_unusable(self, template: NodeTemplate) -> str:
        """Why nothing can be made of the template now. Empty when something can."""
        name = template.metadata.name
        problems = problems_of(template.spec)
        if problems:
            return f"{problems[0].field}: {problems[0].message}"
        ground = self._look.grounds.get(name)
        if ground is None:
            return "nobody knows its node class"
        return ground.problem or self._back_offs.rests(name)

    # What pods ask for, and of whom

    def _read(self, pods: Sequence[Pod]) -> tuple[dict[str, PodAsks], list[Unplaced]]:
        """What the pods ask for, and those of which nobody can tell."""
        found, unreadable = dict[str, PodAsks](), list[Unplaced]()
        for pod in sorted(pods, key=lambda pod: pod.metadata.key):
            key = pod.metadata.key
            try:
                found[key] = asks_of(pod, volumes=volume_needs_in(self._look.cluster, pod))
            except Invalid as error:
                hint = f"; {error.hint}" if error.hint else ""
                unreadable.append(Unplaced(key, Rule.NODE_AFFINITY, f"{error.message}{hint}"))
        return found, unreadable

    def _serve(self, pods: Sequence[Pod], asks: Mapping[str, PodAsks]) -> dict[str, Serving]:
        self._report += [f"template {name}: {why}" for name, why in sorted(self._unusable.items()) if why]
        readable = [each for each in self._templates if can_serve(each)]
        found = {}
        for pod in pods:
            if pod.metadata.key in asks:
                found[pod.metadata.key] = serving_order(pod, asks[pod.metadata.key], readable)
        nobodys = sum(1 for serving in found.values() if not serving.templates and not serving.is_named)
        if nobodys:
            self._report.append(f"{counted(nobodys, 'pod')} that no template serves")
        return found

    def _unserved(self) -> Iterator[Unplaced]:
        """Pods that select templates which cannot serve them. Those that select none may be somebody else's."""
        for key, serving in sorted(self._served.items()):
            if serving.is_named and not serving.templates:
                why = "; ".join(serving.report) or "there is no NodeTemplate"
                yield Unplaced(key, Rule.NODE_AFFINITY, f"no template that the pod selects can serve it: {why}")

    # Machines

    def _budget(self) -> Budget:
        look = self._look
        failed = {failure.claim for failure in self._failures}
        return Budget(
            look.templates,
            (claim for claim in look.claims if claim.metadata.name not in failed),
            look.catalog,
            cluster_cost_limit_usd_per_hour=look.cluster_cost_limit_usd_per_hour,
            cluster_gpu_limit=look.cluster_gpu_limit,
        )

    def _existing(self) -> Existing:
        if not self._asks and not self._look.gated:
            return Existing((), {})  # nobody waits: what thousands of nodes have left makes no difference
        failed = frozenset(failure.claim for failure in self._failures)
        return existing_nodes(self._look, self._asks, self._daemons, failed)

    def _shelf(self, template: NodeTemplate) -> Shelf:
        ground = self._look.grounds[template.metadata.name]
        return Shelf(template, self._look.catalog, ground, self._daemons, self._back_offs.hold_back)

    def _provide(
        self, basket: Basket, budget: Budget, waiting: Mapping[str, PodAsks]
    ) -> tuple[list[Group], list[Unplaced]]:
        """Each template in turn serves the pods that are its to serve, and those that none before it could place."""
        groups: list[Group] = []
        left = {key: asks for key, asks in waiting.items() if self._served[key].templates}
        reasons: dict[str, list[Unplaced]] = {}
        stuck: list[tuple[Group, Shelf]] = []
        for template in self._templates:
            name = template.metadata.name
            pods = [asks for key, asks in left.items() if name in self._served[key].templates]
            why = self._unusable[name]
            for asks in pods if why else ():
                unusable = Unplaced(asks.key, Rule.NODE_RESOURCES_FIT, f"template {name}: {why}")
                reasons.setdefault(asks.key, []).append(unusable)
            if why or not pods:
                continue
            shelf = self._shelf(template)
            for group in fill(basket, shelf, pods):
                chosen = [basket.machines[machine] for machine in group.machines]
                families = self._spot_families(name, [*basket.machines.values()], chosen)
                diversify(chosen, group.candidates, template.spec.constraints, families, budget)
                groups.append(group)
                missing = {each.pod: each for each in group.packing.unplaced}
                if missing and self._tells_ways_out:
                    stuck.append((group, shelf))
                for asks in group.pods:
                    if asks.key in missing:
                        reasons.setdefault(asks.key, []).append(missing[asks.key])
                    else:
                        del left[asks.key]
        ways = _ways_out(stuck, basket)
        return groups, [replace(_all_reasons(reasons[key]), relaxations=ways.get(key, ())) for key in sorted(left)]

    def _spot_families(self, template: str, chosen: Sequence[Chosen], but: Sequence[Chosen]) -> list[str]:
        """Of the spot machines that the template has, and of those chosen before these."""
        types = self._look.catalog.instance_types
        claimed = [
            claim.spec.instance_type
            for claim in self._look.claims
            if claim.spec.template == template and claim.spec.capacity_type == CapacityType.SPOT
        ]
        others = [
            each.candidate.offering.instance_type
            for each in chosen
            if each not in but
            and each.candidate.template == template
            and each.candidate.offering.capacity_type is CapacityType.SPOT
        ]
        return [types[name].family for name in (*claimed, *others) if name in types]

    def _new_machines(self, groups: Sequence[Group], basket: Basket) -> tuple[NewMachine, ...]:
        templates = {each.metadata.name: each for each in self._templates}
        found = []
        for group in groups:
            for name in group.machines:
                chosen = basket.machines[name]
                found.append(self._new_machine(chosen, group, templates[chosen.candidate.template]))
        return tuple(sorted(found, key=lambda each: (each.template, each.pods)))

    def _new_machine(self, chosen: Chosen, group: Group, template: NodeTemplate) -> NewMachine:
        message, rejected = describe_decision(chosen, group)
        pods = tuple(sorted(pod.key for pod in chosen.pods))
        return NewMachine(
            template=template.metadata.name,
            candidate=chosen.candidate,
            pods=pods,
            node=settings_of(template, chosen.candidate, chosen.packing),
            decision=Decision(reason="ScaleUp", message=message, at=self._now, pods=pods, rejected=rejected),
        )

    # What is told

    def _warnings(self, left: Sequence[Unplaced]) -> list[PodEvent]:
        """One for each pod whose machine could not be had, or that gets none."""
        messages: dict[str, list[str]] = {}
        for failure in self._failures:
            for pod in failure.pods:
                if pod in self._asks:
                    messages.setdefault(pod, []).append(str(failure))
        for each in left:
            messages.setdefault(each.pod, []).append(each.message)
        fresh: dict[str, list[str]] = {}
        for told in self._recently(WARNING):
            fresh.setdefault(told.pod, []).append(told.message)
        events = (PodEvent(pod, WARNING, "; ".join(lines), warning=True) for pod, lines in sorted(messages.items()))
        return [event for event in events if not any(event.message in said for said in fresh.get(event.pod, ()))]

    def _estimates(self, known: Existing) -> list[PodEvent]:
        """For gated pods that have no price yet. All of them are counted, and the free room of nodes is not."""
        told = self._recently(ESTIMATE)
        priced = {each.pod for each in told if is_price(each.message)}
        gated = self._look.gated
        if all(pod.metadata.key in priced for pod in gated):
            return []
        asks, unreadable = self._read(gated)
        served = self._serve(gated, asks)
        basket = Basket(
            [closed(node) for node in known.nodes],
            budget=Budget((), (), self._look.catalog),
            effort=self._effort,
            namespace_labels=self._look.cluster.namespace_labels,
        )
        groups, events = list[Group](), [no_estimate(each.pod, each.message) for each in unreadable]
        for template in self._templates:
            name = template.metadata.name
            mine = [each for key, each in asks.items() if served[key].templates[:1] == (name,)]
            if why := self._unusable[name]:
                events += [no_estimate(each.key, f"template {name}: {why}") for each in mine]
            elif mine:
                groups += fill(basket, self._shelf(template), mine)
        events += estimate_events(groups, basket.machines)
        said = {(each.pod, each.message) for each in told}
        return [event for event in events if event.pod not in priced and (event.pod, event.message) not in said]

    def _recently(self, reason: str) -> list[Told]:
        return [told for told in self._look.told if told.reason == reason and told.at + TOLD_FOR > self._now]

    def _look_again_at(self, left: Sequence[Unplaced]) -> datetime | None:
        """When a back-off ends that pods wait for, or a machine that is under way is given up."""
        templates = {each.metadata.name: each for each in self._templates}
        failed = {failure.claim for failure in self._failures}
        moments = [
            moment
            for claim in self._look.claims
            if claim.metadata.name not in failed and claim.spec.template in templates
            if (moment := gives_up_at(claim, templates[claim.spec.template])) is not None
        ]
        if left and (end := self._back_offs.next_end()) is not None:
            moments.append(end)
        return min((moment for moment in moments if moment > self._now), default=None)


def _onto_nodes(groups: Sequence[Group], basket: Basket) -> dict[str, str]:
    return {
        pod: node for group in groups for pod, node in group.packing.assignments.items() if node not in basket.machines
    }


def _all_reasons(reasons: Sequence[Unplaced]) -> Unplaced:
    """What each template that was asked said, once."""
    last = reasons[-1]
    message = "; ".join(dict.fromkeys(each.message for each in reasons))
    return Unplaced(last.pod, last.rule, message)


def _ways_out(stuck: Sequence[tuple[Group, Shelf]], basket: Basket) -> dict[str, tuple[Relaxation, ...]]:
    """By pod, of the first template that has any."""
    ways: dict[str, tuple[Relaxation, ...]] = {}
    for group, shelf in stuck:
        for each in tell_ways_out(group, basket, shelf).packing.unplaced:
            if each.relaxations:
                ways.setdefault(each.pod, each.relaxations)
    return ways
