"""``kubectl auth can-i`` and its kin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from stratos.apiserver.auth.authentication import RequestAuthenticator
from stratos.apiserver.auth.contract import Attributes, Decision, User
from stratos.apiserver.auth.reviews import (
    review_access,
    review_access_of_self,
    review_rules_of_self,
    review_self,
    review_token,
)
from stratos.apiserver.auth.tokens import StaticTokens
from stratos.base.errors import Invalid

ANN = User("ann", groups=("team",))


class OnlyAnnGetsPods:
    """Just enough of an authorizer to see what it is asked."""

    def authorize(self, attributes: Attributes) -> Decision:
        allowed = attributes.user.name == "ann" and (attributes.resource or attributes.path) in ("pods", "/metrics")
        return Decision(allowed, "because" if allowed else "")

    def rules_for(self, user: User, namespace: str) -> Sequence[Mapping[str, Any]]:
        return [{"verbs": ["get"], "resources": ["pods"]}, {"verbs": ["get"], "nonResourceURLs": ["/metrics"]}]


PODS = {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "a"}}


def test_a_review_is_answered_in_its_status() -> None:
    """kubectl prints yes or no from ``status.allowed``."""
    answer = review_access_of_self({"kind": "SelfSubjectAccessReview", "spec": PODS}, ANN, OnlyAnnGetsPods())

    assert answer["status"] == {"allowed": True, "reason": "because"}
    assert answer["spec"] == PODS


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [
        ({"user": "ann", **PODS}, True),
        ({"user": "bob", **PODS}, False),
        ({"user": "ann", "nonResourceAttributes": {"verb": "get", "path": "/metrics"}}, True),
    ],
)
def test_others_can_be_asked_about(spec: dict[str, Any], allowed: bool) -> None:
    """Extension servers delegate their decisions to us."""
    assert review_access({"spec": spec}, OnlyAnnGetsPods())["status"]["allowed"] is allowed


@pytest.mark.parametrize(
    ("spec", "namespace", "field"),
    [
        (PODS, "", "spec.user"),
        ({"user": "ann"}, "", "spec.resourceAttributes"),
        ({"user": "ann", **PODS, "nonResourceAttributes": {"path": "/x"}}, "", "spec.resourceAttributes"),
        ({"user": "ann", **PODS}, "b", "spec.resourceAttributes.namespace"),
    ],
)
def test_a_question_that_makes_no_sense_names_the_field(spec: dict[str, Any], namespace: str, field: str) -> None:
    """A wrong question answered with "no" would be believed."""
    with pytest.raises(Invalid) as caught:
        review_access({"spec": spec}, OnlyAnnGetsPods(), namespace=namespace)

    assert [problem.field for problem in caught.value.problems] == [field]


def test_rules_and_identity_can_be_listed() -> None:
    """``kubectl auth can-i --list`` and ``kubectl auth whoami``."""
    rules = review_rules_of_self({"spec": {"namespace": "a"}}, ANN, OnlyAnnGetsPods())["status"]

    assert [len(rules[part]) for part in ("resourceRules", "nonResourceRules")] == [1, 1]
    assert review_self({}, ANN)["status"]["userInfo"] == {"username": "ann", "groups": ["team"]}


def test_a_bad_token_is_an_answer() -> None:
    """Who reviews a token wants to know that it is bad, not to be refused."""
    authenticator = RequestAuthenticator(tokens=StaticTokens({"good": ANN}))

    assert review_token({"spec": {"token": "good"}}, authenticator)["status"]["user"]["username"] == "ann"
    assert review_token({"spec": {"token": "bad"}}, authenticator)["status"]["authenticated"] is False
