from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.base.errors import Invalid
from stratos.planning.provisioning.annotations import (
    NO_WISHES,
    compile_regexp,
    is_ignored,
    keeps_from_evicting,
    wishes_of,
)
from stratos.testing.provisioning_builders import a_gpu, a_type, a_waiting_pod

LUNA, OURS = "node.elotl.co/instance-", "stratos.sh/instance-"


@pytest.mark.parametrize("prefix", [LUNA, OURS])
def test_both_forms_of_an_annotation_mean_the_same(prefix: str) -> None:
    """Manifests written for others keep working, and ours need no foreign words."""
    wishes = wishes_of(
        a_waiting_pod(
            "p",
            annotations={
                f"{prefix}family-inclusions": "c6g, c6gd",
                f"{prefix}family-exclusions": "t3",
                f"{prefix}type-regexp": "large$",
                f"{prefix}gpu-skus": "L4,A10G",
                f"{prefix}max-gpus": "2",
                f"{prefix}max-cost": "4.75",
                f"{prefix}offerings": "spot,on-demand",
            },
        )
    )

    assert wishes.families == frozenset({"c6g", "c6gd"})
    assert wishes.not_families == {"t3"}
    assert wishes.type_regexps == ("large$",)
    assert wishes.gpu_skus == (("L4", "A10G"),)
    assert (wishes.max_gpus, wishes.max_cost_usd_per_hour) == (2, 4.75)
    assert wishes.terms == frozenset({"spot", "on-demand"})


def test_both_forms_together_hold_together() -> None:
    """What a chart says and what its user adds are both meant."""
    pod = a_waiting_pod(
        "p",
        annotations={
            f"{LUNA}max-cost": "3",
            f"{OURS}max-cost": "2",
            f"{LUNA}family-inclusions": "a,b",
            f"{OURS}family-inclusions": "b,c",
        },
    )
    wishes = wishes_of(pod)

    assert wishes.max_cost_usd_per_hour == 2
    assert wishes.families == frozenset({"b"})


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        ("max-gpus", "two", "'two' is not a number of GPUs"),
        ("max-gpus", "-1", "'-1' is not a number of GPUs"),
        ("max-cost", "cheap", "'cheap' is not a price"),
        ("max-cost", "-1", "'-1' is not a price"),
        ("max-cost", "nan", "'nan' is not a price"),
        ("offerings", "reserved", "'reserved' is not an offering"),
        ("family-inclusions", " , ", "it lists nothing"),
        ("type-regexp", "(m5", "is no regular expression"),
        ("gpu-sku", "L4", "there is no annotation instance-gpu-sku"),
    ],
)
def test_a_value_without_meaning_is_named_with_a_hint(annotation: str, value: str, said: str) -> None:
    """A cap that is misspelt and silently ignored is found on the bill."""
    with pytest.raises(Invalid, match=r"metadata\.annotations") as caught:
        wishes_of(a_waiting_pod("p", annotations={LUNA + annotation: value}))

    assert said in caught.value.message
    assert caught.value.problems[0].field == f"metadata.annotations[{LUNA}{annotation}]"
    assert caught.value.hint


def test_a_pod_without_annotations_wishes_for_nothing() -> None:
    """Other annotations are other people's."""
    assert wishes_of(a_waiting_pod("p", annotations={"node.elotl.co/other": "x", "stratos.sh/note": "y"})) is NO_WISHES


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("g2-standard-16", "g2-standard-16", True),
        ("^r6a.xlarge$", "r6a.xlarge", True),
        ("^*.xlarge$", "m5.xlarge", True),
        ("^*.xlarge$", "m5.large", False),
        ("^(*.large|m5)$", "m5", True),
        (r"\(*large", "m5.large", True),
        ("^([^g]|g($|[^3])).*$", "g3.8xlarge", False),
        ("^([^g]|g($|[^3])).*$", "g4dn.xlarge", True),
    ],
)
def test_b10_expressions_are_searched_for_and_the_odd_form_is_tolerated(pattern: str, name: str, found: bool) -> None:
    """Documents show patterns that only one engine accepts: here they mean what they mean there."""
    assert (compile_regexp(pattern).search(name) is not None) is found


@pytest.mark.parametrize(
    ("annotations", "named"),
    [
        ({"pod.elotl.co/do-not-evict": "true"}, "pod.elotl.co/do-not-evict"),
        ({"stratos.sh/do-not-evict": "true"}, "stratos.sh/do-not-evict"),
        ({"karpenter.sh/do-not-disrupt": "true"}, "karpenter.sh/do-not-disrupt"),
        ({"autoscaling.cast.ai/removal-disabled": "true"}, "autoscaling.cast.ai/removal-disabled"),
        ({"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}, "cluster-autoscaler.kubernetes.io/safe-to-evict"),
        ({"cluster-autoscaler.kubernetes.io/safe-to-evict": "true", "pod.elotl.co/do-not-evict": "false"}, ""),
    ],
)
def test_b26_any_project_s_word_keeps_a_pod_where_it_is(annotations: dict[str, str], named: str) -> None:
    """Charts carry the annotation of whatever autoscaler their author had."""
    assert keeps_from_evicting(annotations) == named


def test_only_true_ignores() -> None:
    """An annotation set to false is how people turn things off."""
    assert is_ignored(a_waiting_pod("p", annotations={"pod.elotl.co/ignore": "true"}))
    assert not is_ignored(a_waiting_pod("p", annotations={"pod.elotl.co/ignore": "false"}))


@given(
    names=st.lists(st.sampled_from(["L4", "a100", "A100-80", "T4", "t4g"]), min_size=1, max_size=3),
    sku=st.sampled_from(["L4", "A100-40", "A100-80", "T4", "T4G"]),
)
def test_a_listed_gpu_is_matched_by_name_in_any_case_and_never_by_half(names: list[str], sku: str) -> None:
    """``T4`` is no ``T4G``; ``A100`` is both of its sizes."""
    wishes = wishes_of(a_waiting_pod("p", annotations={f"{LUNA}gpu-skus": ",".join(names)}))
    refused = wishes.refuses(a_type("g.large", 4, 16, gpu=a_gpu(sku)))
    meant = {name.upper() for name in names}

    assert (refused == "") is (sku in meant or sku.partition("-")[0] in meant)
