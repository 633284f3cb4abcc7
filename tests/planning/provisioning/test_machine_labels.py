"""What labels say of machines, and what pods' annotations ask of them: the same as if the type had been asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis import labels
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import NodeSelectorTerm
from stratos.base.selectors import check_requirement
from stratos.catalog.catalog import DEFAULT_REGIONS, Catalog, load_catalog
from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.planning.provisioning.annotations import NO_WISHES, Wishes
from stratos.planning.provisioning.asks import asks_of, granting
from stratos.planning.provisioning.draft import NodeDraft, Offer
from stratos.planning.provisioning.machine_labels import MACHINE_LABELS, asked_of_nodes, labels_of_type, without_asked
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.selection import compile_node_term
from stratos.testing.provisioning_builders import GROUND, a_gpu, a_shop, a_template, a_type, a_waiting_pod

TYPES = (
    a_type("c6a.large", 2, 4),
    a_type("c6a.xlarge", 4, 8),
    a_type("m5.large", 2, 8),
    a_type("g6.xlarge", 4, 16, gpu=a_gpu("L4")),
    a_type("g6f.large", 2, 8, gpu=a_gpu("L4", 0.25)),
    a_type("p4d.24xlarge", 96, 1152, gpu=a_gpu("A100-40", 8)),
    a_type("n1-standard-8+2xT4", 8, 30, gpu=a_gpu("T4", 2)),
)
PRICES = (0.0864, 0.1, 0.1000004, 0.8048, 4.75)
SHOP = a_shop(*((type_, 0.1, 0.05) for type_ in TYPES))


def a_node(
    type_: InstanceType, price: float, terms: CapacityType, template: NodeTemplate | None = None
) -> NodeDescription:
    """The node that a template makes of an offering."""
    draft = NodeDraft(template or a_template(), SHOP, GROUND, ())
    return NodeDescription("n", labels=draft.labels(type_, Offer("r-a", terms, price)))


def admits(wishes: Wishes, node: NodeDescription, catalog: Catalog = SHOP) -> bool:
    term = NodeSelectorTerm(asked_of_nodes(wishes, catalog))
    return compile_node_term(term, "term").matches(node.name, node.labels)


families = st.sets(st.sampled_from(["c6a", "m5", "g6", "x9"]), max_size=3).map(frozenset)
skus = st.lists(st.sampled_from(["l4", "A100", "NVIDIA-A100-40", "T4", "K80"]), min_size=1, max_size=2).map(tuple)
wish = st.builds(
    Wishes,
    families=st.none() | families,
    not_families=families,
    type_regexps=st.lists(st.sampled_from(["large$", "^c6a", "2xT4", "^none$"]), max_size=2).map(tuple),
    gpu_skus=st.lists(skus, max_size=2).map(tuple),
    max_gpus=st.none() | st.integers(0, 8),
    max_cost_usd_per_hour=st.sampled_from((None, 0.0, *PRICES)),
    terms=st.none() | st.sets(st.sampled_from(["spot", "on-demand", "fargate"])).map(frozenset),
)


@given(wish, st.sampled_from(TYPES), st.sampled_from(PRICES), st.sampled_from(CapacityType))
def test_b07_b13_a_node_is_admitted_exactly_when_its_type_and_offer_are(
    wishes: Wishes, type_: InstanceType, price: float, terms: CapacityType
) -> None:
    """The scheduler reads labels and provisioning reads the catalog; where they differ, a pod waits or is misplaced."""
    node = a_node(type_, price, terms)
    meant = not wishes.refuses(type_) and not wishes.refuses_offer(terms, price)

    assert (wishes == NO_WISHES or admits(wishes, node)) is meant
    assert granting(wishes, SHOP)(node) is meant


@given(wish.filter(lambda wishes: wishes != NO_WISHES))
def test_b07_what_is_asked_of_nodes_is_what_an_api_server_takes(wishes: Wishes) -> None:
    """A pod that is refused because of what a webhook added is a riddle for its owner."""
    term = compile_node_term(NodeSelectorTerm(asked_of_nodes(wishes, SHOP)), "term")

    assert term.labels.requirements
    for requirement in term.labels.requirements:
        check_requirement(requirement)


@pytest.mark.parametrize("cloud", sorted(DEFAULT_REGIONS))
def test_the_labels_of_every_type_of_every_cloud_are_labels_and_tell_types_apart(cloud: str) -> None:
    """Clouds call families and shapes what they like, and a label takes few characters."""
    types = load_catalog(cloud, DEFAULT_REGIONS[cloud]).instance_types.values()
    found = [labels_of_type(type_) for type_ in types]

    values = {value for each in found for value in each.values()}
    assert not [each for each in values if not re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", each)]
    assert len({each[labels.CATALOG_TYPE] for each in found}) == len(found)
    assert len({each[labels.INSTANCE_FAMILY] for each in found}) == len({type_.family for type_ in types})
    assert {key for each in found for key in each} <= set(MACHINE_LABELS)


def test_types_published_later_are_admitted_by_all_but_a_regular_expression() -> None:
    """A pod lives longer than a price list. What cannot be told by a label must at least never be too wide."""
    new = a_type("c6a.2xlarge", 8, 16, gpu=a_gpu("L4"))
    node = a_node(new, 0.2, CapacityType.ON_DEMAND)

    by_labels = Wishes(families=frozenset({"c6a"}), gpu_skus=(("L4",),), max_gpus=1, max_cost_usd_per_hour=0.3)
    assert admits(by_labels, node)
    assert not admits(Wishes(type_regexps=("^c6a",)), node)


def test_a_node_that_does_not_tell_its_family_is_none_for_those_who_exclude_some() -> None:
    """Somebody else's node may be of any family, the excluded one among them."""
    assert not admits(Wishes(not_families=frozenset({"m5"})), NodeDescription("n", labels={}))


def test_what_a_node_says_of_its_machine_counts_even_where_its_cloud_s_name_of_the_type_is_ambiguous() -> None:
    """Shapes made to measure share one name: by that alone nobody could tell whether two GPUs are attached."""
    node = a_node(TYPES[-1], 1.0, CapacityType.ON_DEMAND)

    assert node.labels[labels.INSTANCE_TYPE] == "n1-standard-8"
    assert granting(Wishes(gpu_skus=(("T4",),)), SHOP)(node)


def test_the_price_a_machine_was_chosen_for_counts_not_the_one_of_today() -> None:
    """Who was let onto a machine below a cap stays there when prices rise, and the next such pod may join it."""
    cap = Wishes(max_cost_usd_per_hour=0.1)
    dearer = a_shop((TYPES[0], 0.2))

    assert granting(cap, dearer)(a_node(TYPES[0], 0.1, CapacityType.ON_DEMAND))


def test_labels_of_the_machine_are_ours_whatever_a_template_says() -> None:
    """A label that lies about the machine would send pods to it that must not be there."""
    lying = a_template(customLabels={labels.INSTANCE_FAMILY: "x9"})

    assert a_node(TYPES[0], 0.1, CapacityType.SPOT, lying).labels[labels.INSTANCE_FAMILY] == "c6a"


def test_what_was_asked_for_a_wish_can_be_taken_back_and_nothing_else_is() -> None:
    """To give up an annotation means to give up what was made of it, not what the pod itself states."""
    cap, family = Wishes(max_cost_usd_per_hour=0.1), Wishes(families=frozenset({"c6a"}))
    disk = {"key": "disk", "operator": "In", "values": ["ssd"]}
    asked = [{"key": each.key, "operator": str(each.operator), "values": list(each.values or ())}
             for wishes in (cap, family) for each in asked_of_nodes(wishes, SHOP)]  # fmt: skip

    def required(*terms: Sequence[object]) -> dict[str, object]:
        selector = {"nodeSelectorTerms": [{"matchExpressions": term} for term in terms]}
        return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}

    def asks(*terms: Sequence[object]) -> object:
        return asks_of(a_waiting_pod("p", affinity=required(*terms))).requirements

    both = asks_of(a_waiting_pod("p", affinity=required([disk, *asked], asked))).requirements
    freed = without_asked(both, asked_of_nodes(cap, SHOP))
    assert freed == asks([disk, asked[1]], [asked[1]])
    assert without_asked(freed, asked_of_nodes(family, SHOP)) == replace(
        freed, node_rules=replace(freed.node_rules, required=None)
    )
