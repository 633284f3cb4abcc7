"""What holds for every plan, whatever the cluster looks like."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from planning.disruption.disruption_builders import Machine, a_departure, a_look, a_machine, a_pod, a_workload
from stratos.planning.disruption import plan_disruption
from stratos.planning.disruption.plan import Reason
from stratos.testing.provisioning_builders import a_template

HELD = {"karpenter.sh/do-not-disrupt": "true"}
DAY = timedelta(days=1)
WEB = a_workload("web", replicas=40)

pods = st.tuples(st.sampled_from(["100m", "600m", "1500m"]), st.booleans(), st.integers(0, 9).map(lambda n: n == 0))
machines = st.tuples(
    st.sampled_from(["c.small", "c.medium", "c.large", "c.huge"]),
    st.lists(pods, max_size=3),
    st.sampled_from([None, timedelta(minutes=4), timedelta(minutes=6)]),  # how long it has been unneeded
    st.sampled_from([timedelta(hours=2), 8 * DAY]),  # its age
    st.sampled_from(["", "", "", "departs", "unready"]),
)


def build(drawn: list[tuple[str, list[tuple[str, bool, bool]], timedelta | None, timedelta, str]]) -> list[Machine]:
    found = []
    for number, (type_, holds, unneeded_for, age, fate) in enumerate(drawn):
        here = [
            a_pod(f"p{number}-{index}", of=WEB if in_web else None, cpu=cpu, annotations=HELD if held else None)
            for index, (cpu, in_web, held) in enumerate(holds)
        ]
        found.append(
            a_machine(
                f"m{number}",
                *here,
                type_=type_,
                unneeded_for=unneeded_for,
                age=age,
                departure=a_departure("Empty") if fate == "departs" else None,
                unready_for=timedelta(minutes=20) if fate == "unready" else None,
            )
        )
    return found


@settings(max_examples=80, deadline=None)
@given(
    drawn=st.lists(machines, max_size=8), budget=st.sampled_from(["0", "1", "3", "10%", "50%", "100%"]), data=st.data()
)
def test_no_plan_breaks_a_budget_moves_who_is_held_or_depends_on_order(
    drawn: list[tuple[str, list[tuple[str, bool, bool]], timedelta | None, timedelta, str]],
    budget: str,
    data: st.DataObject,
) -> None:
    """Each machine goes once, what is replaced to save money saves enough, and any order gives the same plan."""
    template = a_template(disruption={"nodeTTL": "168h", "budgets": [{"nodes": budget}], "minSavingPercent": 20})
    cluster = build(drawn)
    plan = plan_disruption(a_look(*cluster, templates=(template,), workloads=(WEB,)))

    going = [claim for each in plan.disruptions for claim in each.claims]
    leaving = sum(machine.claim.spec.departure is not None for machine in cluster)
    allowed = -(-int(budget[:-1]) * len(cluster) // 100) if budget.endswith("%") else int(budget)
    assert len(going) == len(set(going))
    assert len(going) <= max(0, allowed - leaving)
    by_name = {machine.claim.metadata.name: machine for machine in cluster}
    for each in plan.disruptions:
        if each.reason is not Reason.UNHEALTHY:
            assert not any(pod.metadata.annotations for claim in each.claims for pod in by_name[claim].pods)
        if each.reason is Reason.CHEAPER:
            assert each.saving_usd_per_hour >= 0.2 * each.cost_before_usd_per_hour - 1e-9
        new = [pod for machine in each.machines for pod in machine.pods]
        assert len(new) == len(set(new)) and set(new) <= set(each.pods)
    assert not set(going) & {name for name, machine in by_name.items() if machine.claim.spec.departure is not None}
    shuffled = data.draw(st.permutations(cluster))
    assert plan_disruption(a_look(*shuffled, templates=(template,), workloads=(WEB,))) == plan
