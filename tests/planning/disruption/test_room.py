from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from planning.disruption.disruption_builders import a_look, a_machine, a_pod
from stratos.apis.pod import Affinity, LabelSelectorSpec, PodAffinity, PodAffinityTerm
from stratos.planning.disruption.room import NoRoom, Room
from stratos.planning.packing.problem import ExistingNode

ALONE = Affinity(
    pod_anti_affinity=PodAffinity(
        required=(
            PodAffinityTerm(
                topology_key="kubernetes.io/hostname", label_selector=LabelSelectorSpec(match_labels={"alone": "yes"})
            ),
        )
    )
)


def placed(nodes: tuple[ExistingNode, ...]) -> dict[str, str]:
    return {pod.key: node.description.name for node in nodes for pod in node.pods}


def test_nothing_is_changed_when_one_of_the_pods_has_no_room() -> None:
    """Half a move would leave the next decision a cluster that will never be."""
    full = a_machine("a", a_pod("small", cpu="100m"), a_pod("large", cpu="3"))
    room = Room(a_look(full, a_machine("b", a_pod("x", cpu="2"))).world)
    before = placed(room.existing_without((), ()))

    refused = room.move_off("node-a", full.pods)

    assert refused == NoRoom("default/large", "pod default/large cannot be scheduled on another of 1 node choice")
    assert placed(room.existing_without((), ())) == before
    assert not room.expects("node-b")


def test_a_pod_that_is_replaced_first_still_stands_in_the_way_of_its_replacement() -> None:
    """It may not share a host with its like; on its own node, its like may not come before it has gone."""
    pod = a_pod("p", labels_={"alone": "yes"}, affinity=ALONE)
    other = a_pod("q", labels_={"alone": "yes"}, affinity=ALONE)
    machines = (a_machine("a", pod), a_machine("b", other), a_machine("c"))
    room = Room(a_look(*machines).world)

    assert room.move_off("node-a", machines[0].pods, overlapping={"default/p"}) is None
    assert placed(room.existing_without((), ()))["default/p"] == "node-c"
    assert isinstance(room.move_off("node-b", machines[1].pods), NoRoom)


pods = st.lists(st.tuples(st.sampled_from([200, 700, 1500, 2500]), st.booleans()), max_size=4)


@settings(max_examples=100, deadline=None)
@given(drawn=st.lists(pods, min_size=2, max_size=6), order=st.permutations(range(6)))
def test_no_move_overfills_a_node_or_brings_those_together_who_must_be_apart(
    drawn: list[list[tuple[int, bool]]], order: list[int]
) -> None:
    """However many nodes go one after another, and no pod is lost on the way."""
    machines = []
    for number, holds in enumerate(drawn):
        here, used, has_lone = [], 0, False
        for index, (cpu, lone) in enumerate(holds):
            if used + cpu > 3900 or (lone and has_lone):
                continue
            used, has_lone = used + cpu, has_lone or lone
            labels = {"alone": "yes"} if lone else None
            name = f"p{number}-{index}"
            here.append(a_pod(name, cpu=f"{cpu}m", labels_=labels, affinity=ALONE if lone else None))
        machines.append(a_machine(f"m{number}", *here))
    room = Room(a_look(*machines).world)
    everybody = set(placed(room.existing_without((), ())))
    gone = set()
    for number in order:
        if number < len(machines) and room.move_off(f"node-m{number}", machines[number].pods) is None:
            gone.add(f"node-m{number}")

    nodes = room.existing_without((), ())
    assert set(placed(nodes)) == everybody
    for node in nodes:
        assert node.description.name not in gone or not node.pods
        assert sum(dict(pod.requirements.requests)["cpu"] for pod in node.pods) <= node.description.allocatable["cpu"]
        assert sum(bool(pod.requirements.anti_affinity) for pod in node.pods) <= 1
