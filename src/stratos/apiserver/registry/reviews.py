"""Reviews as kinds: questions to authentication and authorisation, asked by creating an object that is never stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stratos.apiserver.auth.contract import Authenticator, Authorizer, User
from stratos.apiserver.auth.reviews import (
    review_access,
    review_access_of_self,
    review_rules_of_self,
    review_self,
    review_token,
)
from stratos.apiserver.registry.codec import timestamp
from stratos.apiserver.registry.requests import Target
from stratos.apiserver.registry.resource import Obj, Resource
from stratos.apiserver.registry.schema import load_builtin_schema
from stratos.apiserver.registry.status import bad_request, invalid
from stratos.base.clock import Clock
from stratos.base.errors import Invalid

_AUTHENTICATION = "authentication.k8s.io"
_AUTHORIZATION = "authorization.k8s.io"


def review_resources() -> tuple[Resource, ...]:
    return (
        _review(_AUTHENTICATION, "SelfSubjectReview"),
        _review(_AUTHENTICATION, "TokenReview"),
        _review(_AUTHORIZATION, "LocalSubjectAccessReview", namespaced=True),
        _review(_AUTHORIZATION, "SelfSubjectAccessReview"),
        _review(_AUTHORIZATION, "SelfSubjectRulesReview"),
        _review(_AUTHORIZATION, "SubjectAccessReview"),
    )


def _review(group: str, kind: str, *, namespaced: bool = False) -> Resource:
    return Resource(
        group=group,
        version="v1",
        kind=kind,
        plural=f"{kind.lower()}s",
        namespaced=namespaced,
        schema=load_builtin_schema(group, "v1", kind),
        verbs=("create",),
    )


class Reviews:
    def __init__(self, authenticator: Authenticator, authorizer: Authorizer, clock: Clock) -> None:
        self._answers: Mapping[str, Callable[[Obj, Target, User], Obj]] = {
            "LocalSubjectAccessReview": lambda review, target, _: review_access(
                review, authorizer, namespace=target.namespace
            ),
            "SelfSubjectAccessReview": lambda review, _, user: review_access_of_self(review, user, authorizer),
            "SelfSubjectReview": lambda review, _, user: review_self(_stamped(review, clock), user),
            "SelfSubjectRulesReview": lambda review, _, user: review_rules_of_self(review, user, authorizer),
            "SubjectAccessReview": lambda review, _target, _user: review_access(review, authorizer),
            "TokenReview": lambda review, _target, _user: review_token(review, authenticator),
        }

    def answers(self, resource: Resource) -> bool:
        return resource.group in (_AUTHENTICATION, _AUTHORIZATION) and resource.kind in self._answers

    def review(self, target: Target, review: Obj, user: User) -> Obj:
        """The review with its status filled in."""
        resource = target.resource
        problems = resource.schema.validate(review)
        if problems:
            raise invalid(resource.group, resource.kind, "", problems)
        review["metadata"].setdefault("creationTimestamp", None)
        try:
            return self._answers[resource.kind](review, target, user)
        except Invalid as error:
            if not error.problems:
                raise bad_request(error.message) from error
            raise invalid(resource.group, resource.kind, "", error.problems) from error


def _stamped(review: Obj, clock: Clock) -> Obj:
    """With the time of the answer, as a real server gives it: clients may set their watch by it."""
    return review | {"metadata": review["metadata"] | {"creationTimestamp": timestamp(clock.now())}}
