"""Offerings that failed are left alone for a while: by type, zone and terms, and for all templates.

Each failure in a row doubles the time. When it is over, one machine is asked for to see whether there are any again;
only after it was launched does the offering count as sound. Entries live in the templates' status, so a restart
forgets nothing. A quota is the same in all zones: its entries name none. Some refusals have nothing to do with what was
asked for (missing rights, a class that is not ready): then the whole template rests, by an entry that names no type.
Otherwise it would try everything there is, ever dearer, and buy that once the cause is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from stratos.apis.meta import find_condition, is_condition_true
from stratos.apis.nodeclaim import OVER_LIMIT, ClaimCondition, NodeClaim, Wanted
from stratos.apis.nodetemplate import BackedOff, NodeTemplate
from stratos.base.duration import parse_duration_seconds
from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.planning.packing.problem import Candidate, OfferingName
from stratos.planning.provisioning.candidates import Candidates

TIMED_OUT = "ScaleUpTimeout"
QUOTA = "QuotaExceeded"
LONGEST = timedelta(hours=2)
MANY_OFFERINGS = 10
"""When so many failed under the same terms, pods that may have other terms get these: the list is long."""
_OF_ALL_OFFERINGS = frozenset(("Unauthorized", "Forbidden", "NotReady", "Conflict"))
_DEFAULT = "10m"  # for failures of a template that is gone


@dataclass(frozen=True, slots=True)
class Failure:
    """A claim that came to nothing."""

    claim: str
    template: str
    offering: OfferingName
    reason: str
    message: str
    at: datetime
    pods: tuple[str, ...]

    def __str__(self) -> str:
        name, zone, terms = self.offering
        return f"{name} in {zone or 'any zone'} ({terms}) was not to be had: {self.reason}: {self.message}"


def failures_of(claims: Iterable[NodeClaim], templates: Iterable[NodeTemplate], now: datetime) -> tuple[Failure, ...]:
    """Claims that failed and that nobody has let go yet, in the order of their names."""
    timeouts = {each.metadata.name: _seconds(each.spec.scale_up_timeout) for each in templates}
    found = []
    for claim in sorted(claims, key=lambda claim: claim.metadata.name):
        told = claim.metadata.deletion_timestamp is not None or claim.spec.wanted is Wanted.GONE
        failed = None if told else _failed(claim, timeouts.get(claim.spec.template), now)
        if failed is not None:
            reason, message, at = failed
            spec = claim.spec
            zone = "" if reason == QUOTA else spec.zone
            offering = OfferingName(spec.instance_type, zone, CapacityType(spec.capacity_type))
            pods = spec.decision.pods if spec.decision else ()
            found.append(Failure(claim.metadata.name, spec.template, offering, reason, message, at, pods))
    return tuple(found)


def gives_up_at(claim: NodeClaim, template: NodeTemplate) -> datetime | None:
    """When a claim that is under way counts as timed out. None when its node has joined, or nobody knows."""
    made = claim.metadata.creation_timestamp
    if (
        made is None
        or claim.wish is Wanted.GONE
        or is_condition_true(claim.status.conditions, ClaimCondition.REGISTERED)
    ):
        return None
    return made + _seconds(template.spec.scale_up_timeout)


def _failed(claim: NodeClaim, timeout: timedelta | None, now: datetime) -> tuple[str, str, datetime] | None:
    conditions = claim.status.conditions
    for type_ in (ClaimCondition.LAUNCHED, ClaimCondition.WARMED_UP):
        condition = find_condition(conditions, type_)
        if condition is not None and condition.status == "False":
            return condition.reason, condition.message, condition.last_transition_time or now
    made = claim.metadata.creation_timestamp
    joined = is_condition_true(conditions, ClaimCondition.REGISTERED)
    if timeout is not None and made is not None and not joined and made + timeout <= now:
        return TIMED_OUT, "it had not joined the cluster in time", now
    return None


class _Sort(NamedTuple):
    """Capacity that runs short together."""

    terms: CapacityType
    has_gpu: bool


def _sort(types: Mapping[str, InstanceType], offering: OfferingName) -> _Sort:
    return _Sort(offering.capacity_type, types[offering.instance_type].gpu is not None)


class BackOffs:
    """What is left alone at the moment, and what was."""

    def __init__(
        self,
        templates: Sequence[NodeTemplate],
        claims: Sequence[NodeClaim],
        failures: Sequence[Failure],
        now: datetime,
        remembered: Sequence[BackedOff] = (),
    ) -> None:
        self._now = now
        self._templates = sorted(template.metadata.name for template in templates)
        self._entries: dict[OfferingName, BackedOff] = {}
        self._owner: dict[OfferingName, str] = {}
        self._resting: dict[str, BackedOff] = {}  # by template
        for template in sorted(templates, key=lambda each: each.metadata.name):
            for entry in template.status.backed_off:
                self._remember(entry, template.metadata.name)
        for entry in remembered:
            self._remember(entry, "")
        self._forget(claims)
        first = {each.metadata.name: _seconds(each.spec.back_off) for each in templates}
        # Machines that were asked for together fail together: that is one failure of their offering.
        at_fault = (failure for failure in failures if failure.reason != OVER_LIMIT)
        ordered = sorted(at_fault, key=lambda each: (each.at, each.claim))
        whole = {failure.template: failure for failure in ordered if failure.reason in _OF_ALL_OFFERINGS}
        for template_name, failure in whole.items():
            known = self._resting.get(template_name)
            self._resting[template_name] = _entry(None, failure, known, first.get(template_name, _seconds(_DEFAULT)))
        latest = {failure.offering: failure for failure in ordered if failure.reason not in _OF_ALL_OFFERINGS}
        for offering, failure in latest.items():
            entry = _entry(
                offering, failure, self._entries.get(offering), first.get(failure.template, _seconds(_DEFAULT))
            )
            self._entries[offering] = entry
            self._owner[offering] = self._owner.get(offering) or failure.template
        pending = (claim for claim in claims if claim.wish is not Wanted.GONE and claim.status.launched_at is None)
        failed = {failure.claim for failure in failures}
        self._asked_for = {_offering(claim) for claim in pending if claim.metadata.name not in failed}

    def until(self, offering: OfferingName) -> datetime | None:
        """Until when it is left alone. None when it may be asked for."""
        holding = [entry.until for entry in self._about(offering) if entry.until > self._now]
        return max(holding, default=None)

    def rests(self, template: str) -> str:
        """Why nothing at all is asked for by the template now. Empty when it may."""
        entry = self._resting.get(template)
        if entry is None or entry.until <= self._now:
            return ""
        return f"nothing could be launched ({entry.reason}): tried again at {entry.until:%H:%M:%S}"

    def hold_back(self, candidates: Candidates) -> Candidates:
        """Without those that are left alone; of those that are tried again one machine at a time."""
        if not self._entries:
            return candidates
        short = self._short(candidates)

        def refuses(candidate: Candidate) -> str:
            why = self._refuses(candidate)
            if not why and short and _sort(candidates.types, candidate.offering) in short:
                why = f"back-off: {candidate.offering.capacity_type} is short, and there are other terms"
            return why

        left = candidates.without({}, refuses)
        return replace(
            left, stages=tuple(tuple(self._as_probe(candidate) for candidate in stage) for stage in left.stages)
        )

    def next_end(self) -> datetime | None:
        """When the first offering may be tried again."""
        entries = (*self._entries.values(), *self._resting.values())
        return min((entry.until for entry in entries if entry.until > self._now), default=None)

    def by_template(self) -> Mapping[str, tuple[BackedOff, ...]]:
        """What each template is to remember."""
        kept: dict[str, list[BackedOff]] = {name: [] for name in self._templates}
        for offering, entry in sorted(self._entries.items()):
            if self._owner[offering] in kept:
                kept[self._owner[offering]].append(entry)
        for template, entry in sorted(self._resting.items()):
            kept.setdefault(template, []).append(entry)
        return {template: tuple(entries) for template, entries in kept.items()}

    def _short(self, candidates: Candidates) -> frozenset[_Sort]:
        """Of what so much is lacking that the rest is not tried one by one, where there is another way."""
        types = candidates.types
        lacking = Counter(
            _sort(types, offering)
            for offering, entry in self._entries.items()
            if offering.instance_type in types and entry.until > self._now
        )
        many = {sort for sort, number in lacking.items() if number >= MANY_OFFERINGS}
        if not many:
            return frozenset()
        sold = {_sort(types, candidate.offering) for candidate in candidates.all} - many
        short = {sort for sort in many if any(sort.has_gpu is other.has_gpu for other in sold)}
        # What is left with a GPU would go to pods that ask for none.
        return frozenset(short | {sort._replace(has_gpu=True) for sort in short})

    def _refuses(self, candidate: Candidate) -> str:
        until = self.until(candidate.offering)
        if until is not None:
            reasons = sorted({entry.reason for entry in self._about(candidate.offering) if entry.until == until})
            return f"back-off until {until:%H:%M:%S} ({', '.join(reasons)})"
        probing = self._about(candidate.offering) and candidate.offering in self._asked_for
        return "back-off: one is being tried" if probing else ""

    def _as_probe(self, candidate: Candidate) -> Candidate:
        return replace(candidate, most=1) if self._about(candidate.offering) else candidate

    def _about(self, offering: OfferingName) -> list[BackedOff]:
        everywhere = offering._replace(zone="")
        return [self._entries[name] for name in {offering, everywhere} if name in self._entries]

    def _remember(self, entry: BackedOff, template: str) -> None:
        if not entry.instance_type:
            if template and entry.until + LONGEST > self._now:
                self._resting[template] = entry
            return
        offering = OfferingName(entry.instance_type, entry.zone, CapacityType(entry.capacity_type))
        known = self._entries.get(offering)
        if entry.until + LONGEST > self._now and (known is None or known.until < entry.until):
            self._entries[offering] = entry
            self._owner[offering] = template or self._owner.get(offering, "")

    def _forget(self, claims: Iterable[NodeClaim]) -> None:
        """A machine launched after the back-off was over shows that there are some again."""
        for claim in claims:
            launched = claim.status.launched_at
            for offering in (_offering(claim), _offering(claim)._replace(zone="")):
                entry = self._entries.get(offering)
                if entry is not None and launched is not None and launched >= entry.until:
                    del self._entries[offering], self._owner[offering]
            rest = self._resting.get(claim.spec.template)
            if rest is not None and launched is not None and launched >= rest.until:
                del self._resting[claim.spec.template]


def _entry(offering: OfferingName | None, failure: Failure, known: BackedOff | None, first: timedelta) -> BackedOff:
    failures = known.failures + 1 if known is not None else 1
    until = failure.at + min(first * 2 ** min(failures - 1, 10), max(LONGEST, first))
    return BackedOff(
        instance_type=offering.instance_type if offering is not None else "",
        zone=offering.zone if offering is not None else "",
        capacity_type=offering.capacity_type if offering is not None else "",
        reason=failure.reason,
        failures=failures,
        until=until if known is None else max(until, known.until),
    )


def _offering(claim: NodeClaim) -> OfferingName:
    return OfferingName(claim.spec.instance_type, claim.spec.zone, CapacityType(claim.spec.capacity_type))


def _seconds(duration: str) -> timedelta:
    return timedelta(seconds=parse_duration_seconds(duration))
