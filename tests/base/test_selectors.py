"""Selectors decide which objects anybody sees, so each form is pinned down, and what cannot be meant is refused."""

import pytest

from stratos.base.errors import Invalid
from stratos.base.selectors import parse_field_selector, parse_label_selector


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ("", {}, True),
        ("app=web", {"app": "web"}, True),
        ("app==web", {"app": "api"}, False),
        ("app!=web", {}, True),
        ("tier in (a, b)", {"tier": "b"}, True),
        ("tier notin (a,b),app", {"app": ""}, True),
        ("!legacy", {"legacy": "yes"}, False),
        ("cores>4", {"cores": "8"}, True),
        ("cores<4", {"cores": "many"}, False),
        ("app=", {"app": ""}, True),
    ],
)
def test_label_selectors_mean_what_kubernetes_says(selector: str, labels: dict[str, str], matches: bool) -> None:
    assert parse_label_selector(selector).matches(labels) is matches


@pytest.mark.parametrize("text", ["a b", "app=web,,b=c", "in (a)", "x in ()y", "=v", "-bad=1", "k>many", "a=b=c", ","])
def test_a_selector_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_label_selector(text)


def test_field_selectors_keep_the_sign_of_each_term() -> None:
    parsed = parse_field_selector("spec.nodeName=,status.phase!=Failed")
    assert [(t.path, t.value, t.equal) for t in parsed.terms] == [
        ("spec.nodeName", "", True),
        ("status.phase", "Failed", False),
    ]
    with pytest.raises(Invalid):
        parse_field_selector("spec.nodeName")
