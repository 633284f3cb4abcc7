"""What NodeTemplates mean for one pod: who serves it, the machine that is best for it, and what else there was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stratos.apis.event import Event
from stratos.apis.meta import find_condition
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim
from stratos.apis.pod import Pod
from stratos.base.errors import Invalid
from stratos.cli.explaining.scene import Scene, decision_words, event_time
from stratos.planning.estimating.choice import Choice, choice_for
from stratos.planning.provisioning.asks import asks_of
from stratos.planning.provisioning.planner import WARNING
from stratos.planning.provisioning.serving import serving_order
from stratos.planning.provisioning.strategies import Shelf
from stratos.planning.scheduling.daemons import compile_daemons
from stratos.snapshot.provisioning import ProvisioningSnapshot

_RULES_TOLD = 8


@dataclass(frozen=True, slots=True)
class Service:
    """How things stand between a waiting pod and the template that is to serve it."""

    template: str
    acting: str  # for the headline
    choice: Choice
    claim: NodeClaim | None = None  # of the machine that is coming for it
    reasons: tuple[str, ...] = ()
    other_templates: tuple[str, ...] = ()  # and why they do not serve it
    hint: str = ""


def choice_of_template(world: ProvisioningSnapshot | None, pod: Pod, template: str) -> Choice | None:
    """What the template would get for the pod now, if it were alone. None when that cannot be said."""
    found = next((each for each in world.templates if each.metadata.name == template), None) if world else None
    if world is None or found is None:
        return None
    shelf = Shelf(found, world.catalog, world.grounds[template], compile_daemons(world.daemon_sets))
    try:
        return choice_for(asks_of(pod), shelf)
    except Invalid:
        return None


def service_of_templates(scene: Scene, pod: Pod, events: Sequence[Event]) -> Service | None:
    """None when no template serves the pod."""
    world = scene.world
    if world is None:
        return None
    try:
        serving = serving_order(pod, asks_of(pod), world.templates)
    except Invalid:
        return None
    choice = choice_of_template(world, pod, serving.templates[0]) if serving.templates else None
    if choice is None:
        return None
    name = serving.templates[0]
    claim = scene.template_claim_promised_to(pod.metadata.key)
    warnings = [event for event in events if event.reason == WARNING]
    said = max(warnings, key=lambda event: (str(event_time(event)), event.metadata.name), default=None)
    reasons = _reasons(claim) if claim is not None else (said.message,) if said is not None else ()
    if claim is not None:
        acting = f"template {name} has asked for {claim.metadata.name} ({claim.spec.instance_type}) for it"
    elif choice.best is None:
        acting = f"no machine that template {name} may buy fits it"
    else:
        acting = f"template {name} is to serve it and has no machine for it yet"
    return Service(
        template=name,
        acting=acting,
        choice=choice,
        claim=claim,
        reasons=(*reasons, *_problem(world, name)),
        other_templates=serving.report,
        hint=_hint(choice) if choice.best is None else "",
    )


def not_chosen_lines(choice: Choice) -> tuple[str, ...]:
    """Candidates that lost, with what they cost more, and those that were no candidates, by the rule."""
    best = choice.best
    # The machine that came may be a larger one that others share: say what the differences below are from.
    base = []
    if best is not None:
        offering = best.offering
        price = f"${best.price_usd_per_hour:.4f}/h"
        base = [f"alone it would get {offering.instance_type} {offering.capacity_type} at {price}; against that:"]
    next_ones = [
        f"{each.instance_type} {each.capacity_type}, ${each.price_usd_per_hour:.4f}/h: {each.reason}"
        for each in choice.runners_up
    ]
    small = [
        f"{each.instance_type} {each.capacity_type}, ${each.price_usd_per_hour:.4f}/h: too small, {each.reason}"
        for each in choice.too_small
    ]
    rules = [f"{number} types: {rule}" for rule, number in list(choice.rejected.items())[:_RULES_TOLD]]
    return (*base, *next_ones, *small, *rules, *choice.notes)


def what_if_lines(choice: Choice) -> tuple[str, ...]:
    return tuple(
        f"without {each.constraint}: {each.instance_type} at ${each.price_usd_per_hour:.4f}/h"
        + (f", ${each.saving_usd_per_hour:.4f}/h less" if each.saving_usd_per_hour is not None else "")
        for each in choice.what_if
    )


def _reasons(claim: NodeClaim) -> tuple[str, ...]:
    decision = claim.spec.decision
    failed = [
        f"{condition.type}: {condition.message}"
        for type_ in (ClaimCondition.LAUNCHED, ClaimCondition.WARMED_UP)
        if (condition := find_condition(claim.status.conditions, type_)) is not None and condition.status == "False"
    ]
    return (*((decision_words(decision),) if decision is not None else ()), *failed)


def _problem(world: ProvisioningSnapshot, template: str) -> tuple[str, ...]:
    """What keeps the template from launching anything."""
    problem = world.grounds[template].problem
    return (f"template {template} can launch nothing now: {problem}",) if problem else ()


def _hint(choice: Choice) -> str:
    if choice.what_if:
        best = choice.what_if[0]
        return f"give up {best.constraint}: {best.instance_type} fits then, at ${best.price_usd_per_hour:.4f}/h"
    if choice.ways_out:
        return f"it {choice.ways_out[0]}"
    return "more than one constraint stands in the way: start with those that rule out most types"
