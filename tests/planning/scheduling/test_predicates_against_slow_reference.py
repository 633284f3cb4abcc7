"""The fast predicates count ahead and remember; the slow ones work everything out anew. They must never differ."""

from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.scheduling.scheduling_strategies import NAMESPACES, nodes, pods
from stratos.apis.node import Node
from stratos.apis.pod import Pod
from stratos.planning.scheduling.choice import choose_node
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.nodes import describe_node
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.requirements import requirements_of
from stratos.testing.slow_scheduling import World, why_not

SOME_NODES = st.tuples(*(nodes(f"node-{index}") for index in range(4)))
SOME_PODS = st.tuples(*(pods(f"pod-{index}") for index in range(8)))
PLACES = st.lists(
    st.sampled_from(["node-0", "node-1", "node-2", "node-3", "not-yet-known", ""]), min_size=8, max_size=8
)


def placed(pod: Pod) -> PlacedPod:
    terminating = pod.metadata.deletion_timestamp is not None
    return PlacedPod(pod.metadata.key, requirements_of(pod), terminating=terminating)


def bind(pod: Pod, node_name: str) -> Pod:
    return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, node_name=node_name))


def build(world: World) -> ClusterState:
    cluster = ClusterState(NAMESPACES)
    for node in world.nodes:
        cluster.set_node(describe_node(node))
    for pod in world.pods:
        cluster.add_pod(placed(pod), pod.spec.node_name)
    return cluster


def verdicts(cluster: ClusterState, pod: Pod) -> dict[str, list[str]]:
    check = cluster.check(requirements_of(pod))
    found = {}
    for name, node in cluster.nodes.items():
        rejection = check.reject(node)
        found[name] = list(rejection.reasons) if rejection else []
    return found


def slow_verdicts(world: World, pod: Pod) -> dict[str, list[str]]:
    return {node.metadata.name: sorted(why_not(pod, node, world)) for node in world.nodes}


def sort_reasons(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: sorted(reasons) for name, reasons in found.items()}


def world_of(some_nodes: Sequence[Node], some_pods: Sequence[Pod], places: Sequence[str]) -> World:
    bound = [bind(pod, place) for pod, place in zip(some_pods, places, strict=True) if place]
    return World(some_nodes, bound, NAMESPACES)


@settings(max_examples=200)
@given(SOME_NODES, SOME_PODS, PLACES, pods("new"))
def test_every_verdict_and_its_reasons_are_those_of_the_slow_reference(
    some_nodes: tuple[Node, ...], some_pods: tuple[Pod, ...], places: list[str], new: Pod
) -> None:
    world = world_of(some_nodes, some_pods, places)

    assert sort_reasons(verdicts(build(world), new)) == slow_verdicts(world, new)


@settings(max_examples=60)
@given(SOME_NODES, st.tuples(*(nodes(f"node-{index}") for index in range(4))), SOME_PODS, st.data())
def test_counts_kept_through_changes_equal_counts_made_anew(
    some_nodes: tuple[Node, ...], later_nodes: tuple[Node, ...], some_pods: tuple[Pod, ...], data: st.DataObject
) -> None:
    """The tallies are asked for first, so that every change has to find its way into them."""
    cluster = ClusterState(NAMESPACES)
    known: dict[str, Node] = {}
    where: dict[int, str] = {}
    for _ in range(data.draw(st.integers(1, 12))):
        for pod in some_pods:
            verdicts(cluster, pod)
        match data.draw(st.sampled_from(["node", "lose node", "pod", "pod", "remove pod"])):
            case "node":
                node = data.draw(st.sampled_from([*some_nodes, *later_nodes]))
                known[node.metadata.name] = node
                cluster.set_node(describe_node(node))
            case "lose node" if known:
                name = data.draw(st.sampled_from(sorted(known)))
                del known[name]
                cluster.remove_node(name)
            case "pod":
                index = data.draw(st.integers(0, len(some_pods) - 1))
                where[index] = data.draw(st.sampled_from(["node-0", "node-1", "node-2", "node-3"]))
                cluster.add_pod(placed(some_pods[index]), where[index])
            case "remove pod" if where:
                index = data.draw(st.sampled_from(sorted(where)))
                del where[index]
                cluster.remove_pod(some_pods[index].metadata.key)
    world = World(list(known.values()), [bind(some_pods[index], name) for index, name in where.items()], NAMESPACES)
    rebuilt = build(world)
    for pod in some_pods:
        assert verdicts(cluster, pod) == verdicts(rebuilt, pod)


@settings(max_examples=60)
@given(SOME_NODES, SOME_PODS)
def test_pods_placed_one_after_another_each_fit_where_they_were_put(
    some_nodes: tuple[Node, ...], some_pods: tuple[Pod, ...]
) -> None:
    """What is chosen must have been allowed, and when nothing is chosen nothing was."""
    world = World(some_nodes, [], NAMESPACES)
    cluster = build(world)
    bound: list[Pod] = []
    for pod in some_pods:
        world = World(some_nodes, bound, NAMESPACES)
        choice = choose_node(cluster, requirements_of(pod), pod.metadata.key)
        allowed = sorted(name for name, reasons in slow_verdicts(world, pod).items() if not reasons)
        if choice.node is None:
            assert allowed == []
            continue
        assert choice.node in allowed
        cluster.add_pod(placed(pod), choice.node)
        bound.append(bind(pod, choice.node))
