"""Which machines are on their way out, and how many more of their template may follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from stratos.planning.disruption.budgets import most_leaving
from stratos.planning.disruption.machines import TemplateMachine
from stratos.planning.disruption.plan import Disruption, Reason


class Departures:
    """Begins with those under way; a planner adds what it decides."""

    def __init__(self, machines: Sequence[TemplateMachine], now: datetime) -> None:
        self._now = now
        self._template_of = {machine.name: machine.claim.spec.template for machine in machines}
        self._members = Counter(self._template_of.values())
        self._leaving: Counter[str] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()
        self.names: set[str] = set()  # of the claims that have a departure, or are about to
        for machine in machines:
            departure = machine.claim.spec.departure
            if departure is not None:
                self._add(machine.name, departure.reason)
            elif not machine.stays:
                self._leaving[machine.claim.spec.template] += 1

    def begin(self, disruption: Disruption) -> None:
        for claim in disruption.claims:
            self._add(claim, disruption.reason)

    def of(self, template: str, reason: Reason | None = None) -> int:
        """How many machines of the template leave, for that reason or any."""
        return self._leaving[template] if reason is None else self._reasons[template, reason]

    def allowed(self, machine: TemplateMachine, reason: Reason) -> int:
        """How many more of its template may begin to leave. Raises `Invalid` when a budget makes no sense."""
        template = machine.claim.spec.template
        most = most_leaving(machine.settings.budgets, reason, self._members[template], self._now)
        return most - self._leaving[template]

    def _add(self, claim: str, reason: str) -> None:
        template = self._template_of[claim]
        self.names.add(claim)
        self._leaving[template] += 1
        self._reasons[template, reason] += 1
