"""The story of a node template: what it may buy, what it has bought, whom it serves, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stratos.apis.event import Event
from stratos.apis.meta import is_condition_true
from stratos.apis.nodeclaim import NodeClaim, Wanted
from stratos.apis.nodetemplate import NodeTemplate
from stratos.base.errors import Invalid
from stratos.cli.explaining.past import named, past_of, standing
from stratos.cli.explaining.scene import Scene
from stratos.cli.explaining.story import Story, Value, count
from stratos.planning.packing.pack import Effort
from stratos.planning.provisioning import plan_provisioning
from stratos.planning.provisioning.asks import asks_of
from stratos.planning.provisioning.candidates import Candidates, candidates_of
from stratos.planning.provisioning.serving import can_serve, serving_order
from stratos.planning.scheduling.daemons import compile_daemons
from stratos.snapshot.provisioning import ProvisioningSnapshot

_RULES_TOLD = 8


def tell_template(
    scene: Scene, world: ProvisioningSnapshot, template: NodeTemplate, events: Sequence[Event] = ()
) -> Story:
    """``world`` holds the template and its machines, ``events`` are those about it."""
    name = template.metadata.name
    claims = [claim for claim in world.claims if claim.spec.template == name]
    mine, others = _waiting(world, name)
    left = _left_waiting(world, mine)
    return Story(
        kind="nodetemplate",
        name=name,
        headline=f"nodetemplate {name} {_readiness_words(template, claims)}",
        facts=_facts(template, claims),
        steps=past_of(claims, events),
        reasons=(
            *standing(scene, template.status.conditions),
            *_departures(claims),
            *_left_alone(template),
            *((f"acts for {named(mine)}",) if mine else ()),
            *_together(left),
        ),
        rejected=(*_ruled_out(world, template), *_together(others)),
        hint=_hint(left),
    )


def _readiness_words(template: NodeTemplate, claims: Sequence[NodeClaim]) -> str:
    if template.metadata.deletion_timestamp is not None:
        return f"is being deleted: {count(len(claims), 'machine')} left"
    ready = "is ready" if is_condition_true(template.status.conditions, "Ready") else "is not ready"
    types = template.status.matching_types or 0
    return f"{ready}: {count(types, 'type')} to choose from, {count(len(claims), 'machine')}"


def _facts(template: NodeTemplate, claims: Sequence[NodeClaim]) -> dict[str, Value]:
    alive = [claim for claim in claims if claim.wish is not Wanted.GONE]
    spot = sum(claim.spec.capacity_type == "spot" for claim in alive)
    return {
        "strategy": template.spec.strategy,
        "cheapest_type": template.status.cheapest_type,
        "machines": len(alive),
        "of_them_spot": spot,
        "leaving": len(claims) - len(alive),
        "usd_per_hour": round(sum(claim.price_usd_per_hour for claim in alive), 6),
    }


def _departures(claims: Sequence[NodeClaim]) -> Iterator[str]:
    for claim in sorted(claims, key=lambda claim: claim.metadata.name):
        departure = claim.spec.departure
        if departure is not None:
            yield f"{claim.metadata.name} is to go. {departure.reason}: {departure.message}"


def _left_alone(template: NodeTemplate) -> Iterator[str]:
    for held in template.status.backed_off:
        offering = f"{held.instance_type} {held.capacity_type} in {held.zone}"
        failed = f"{held.reason}, {count(held.failures, 'failure')}"
        yield f"{offering} is left alone until {held.until:%H:%M:%S}: {failed}"


def _waiting(world: ProvisioningSnapshot, template: str) -> tuple[list[str], dict[str, str]]:
    """Of the pods that wait: those it serves, and why it does not serve the others. Pools' pods are not among them."""
    readable = [each for each in world.templates if can_serve(each)]
    mine: list[str] = []
    others: dict[str, str] = {}
    prefix = f"template {template}: "
    for pod in world.waiting:
        key = pod.metadata.key
        try:
            serving = serving_order(pod, asks_of(pod), readable)
        except Invalid as error:
            others[key] = error.message
            continue
        if template in serving.templates:
            mine.append(key)
        else:
            why = (line.removeprefix(prefix) for line in serving.report if line.startswith(prefix))
            others[key] = next(why, "; ".join(serving.report))
    return mine, others


def _left_waiting(world: ProvisioningSnapshot, pods: Sequence[str]) -> dict[str, str]:
    """Those of ``pods`` that get no machine as things are, and why."""
    unplaced = plan_provisioning(world, effort=Effort.FAST).unplaced if pods else ()
    return {each.pod: each.message for each in unplaced if each.pod in pods}


def _together(told: dict[str, str]) -> Iterator[str]:
    """Pods of which the same is to be said, in one line."""
    alike: dict[str, list[str]] = {}
    for pod, why in told.items():
        alike.setdefault(why, []).append(pod)
    yield from (f"{named(pods)}: {why}" for why, pods in alike.items())


def _ruled_out(world: ProvisioningSnapshot, template: NodeTemplate) -> Iterator[str]:
    try:
        found = _candidates(world, template)
    except Invalid:
        return  # its conditions say so
    for rule, number in list(found.rejections().items())[:_RULES_TOLD]:
        yield f"{count(number, 'type')}: {rule}"
    yield from found.notes


def _candidates(world: ProvisioningSnapshot, template: NodeTemplate) -> Candidates:
    ground = world.grounds[template.metadata.name]
    return candidates_of(template, world.catalog, ground, compile_daemons(world.daemon_sets))


def _hint(left: dict[str, str]) -> str:
    for key in left:
        namespace, _, name = key.partition("/")
        return f"stratos explain pod/{name} -n {namespace} says what would have to change for it to get a machine"
    return ""
