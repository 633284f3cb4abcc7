"""Answers to "may I?" and "who am I?": the review resources, which are asked and answered but never stored."""

from __future__ import annotations

from typing import Any

from stratos.apiserver.auth.contract import Attributes, Authenticator, Authorizer, Credentials, User
from stratos.apiserver.registry.resource import Obj
from stratos.base.errors import FieldProblem, Invalid, Unauthorized


def review_access_of_self(review: Obj, user: User, authorizer: Authorizer) -> Obj:
    """Complete a SelfSubjectAccessReview."""
    return _decided(review, user, authorizer)


def review_access(review: Obj, authorizer: Authorizer, *, namespace: str = "") -> Obj:
    """Complete a SubjectAccessReview; a LocalSubjectAccessReview is bound to its ``namespace``."""
    spec = review.get("spec") or {}
    if not spec.get("user") and not spec.get("groups"):
        raise _wrong(
            "spec.user", "FieldValueRequired", "Required value: at least one of user or group must be specified"
        )
    asked_in = (spec.get("resourceAttributes") or {}).get("namespace", "")
    if namespace and asked_in != namespace:
        message = f'Invalid value: "{asked_in}": must match metadata.namespace: {namespace}'
        raise _wrong("spec.resourceAttributes.namespace", "FieldValueInvalid", message)
    extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
    subject = User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)
    return _decided(review, subject, authorizer)


def _decided(review: Obj, user: User, authorizer: Authorizer) -> Obj:
    decision = authorizer.authorize(_attributes(review.get("spec") or {}, user))
    status: dict[str, Any] = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    return {**review, "status": status}


def _attributes(spec: Obj, user: User) -> Attributes:
    resource: Any = spec.get("resourceAttributes")
    path: Any = spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        message = "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise _wrong("spec.resourceAttributes", "FieldValueInvalid", message)
    if resource is None:
        return Attributes(user, path.get("verb", ""), path=path.get("path", "") or "/")
    return Attributes(
        user,
        resource.get("verb", ""),
        group=resource.get("group", ""),
        version=resource.get("version", ""),
        resource=resource.get("resource", ""),
        subresource=resource.get("subresource", ""),
        namespace=resource.get("namespace", ""),
        name=resource.get("name", ""),
    )


def review_rules_of_self(review: Obj, user: User, authorizer: Authorizer) -> Obj:
    """Complete a SelfSubjectRulesReview."""
    namespace = (review.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise Invalid("no namespace on request")
    rules = [dict(rule) for rule in authorizer.rules_for(user, namespace)]
    return {
        **review,
        "status": {
            "resourceRules": [rule for rule in rules if "nonResourceURLs" not in rule],
            "nonResourceRules": [rule for rule in rules if "nonResourceURLs" in rule],
            "incomplete": False,
        },
    }


def review_self(review: Obj, user: User) -> Obj:
    """Complete a SelfSubjectReview (``kubectl auth whoami``)."""
    return {**review, "status": {"userInfo": user.as_user_info()}}


def review_token(review: Obj, authenticator: Authenticator) -> Obj:
    """Complete a TokenReview. A bad token is an answer, not an error."""
    token = (review.get("spec") or {}).get("token", "")
    if not token:
        raise _wrong(
            "spec.token", "FieldValueRequired", "Required value: token is required for TokenReview in authentication"
        )
    try:
        user = authenticator.authenticate(Credentials(bearer_token=token))
    except Unauthorized as error:
        return {**review, "status": {"authenticated": False, "error": error.message, "user": {}}}
    if user is None:
        return {**review, "status": {"authenticated": False, "user": {}}}
    return {**review, "status": {"authenticated": True, "user": user.as_user_info()}}


def _wrong(field: str, reason: str, message: str) -> Invalid:
    return Invalid(f"{field}: {message}", problems=(FieldProblem(field, reason, message),))
