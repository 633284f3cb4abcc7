"""The ``token`` subresource of service accounts: a signed token for a limited time."""

from __future__ import annotations

from datetime import timedelta

from stratos.apiserver.auth.tokens import BoundObject, ServiceAccountTokens
from stratos.apiserver.registry.codec import decode_as, timestamp
from stratos.apiserver.registry.reading import Reader
from stratos.apiserver.registry.requests import Target
from stratos.apiserver.registry.resource import Obj
from stratos.apiserver.registry.schema import load_builtin_schema
from stratos.apiserver.registry.status import ApiError, invalid
from stratos.base.errors import FieldProblem

_DEFAULT_SECONDS = 3600
_SHORTEST_SECONDS = 600


class TokenRequests:
    """``tokens`` is None on a server that signs none."""

    def __init__(self, reader: Reader, tokens: ServiceAccountTokens | None) -> None:
        self._reader = reader
        self._tokens = tokens

    async def issue(self, target: Target, request: Obj) -> Obj:
        if self._tokens is None:
            raise ApiError(503, "ServiceUnavailable", "this server has no key to sign tokens with")
        account = decode_as(target.resource, await self._reader.get(target))
        spec = _checked_spec(request)
        bound = spec.get("boundObjectRef")
        seconds: int = spec.get("expirationSeconds") or _DEFAULT_SECONDS
        issued = self._tokens.issue(
            target.namespace,
            target.name,
            account["metadata"]["uid"],
            audiences=spec.get("audiences") or (),
            life=timedelta(seconds=seconds),
            bound_to=BoundObject(bound["kind"], bound["name"], bound.get("uid", "")) if bound else None,
        )
        return {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": target.name, "namespace": target.namespace, "creationTimestamp": None},
            "spec": {**spec, "expirationSeconds": seconds},
            "status": {"token": issued.token, "expirationTimestamp": timestamp(issued.expires_at)},
        }


def _checked_spec(request: Obj) -> Obj:
    spec: Obj = request.setdefault("spec", {})
    problems = list(load_builtin_schema("authentication.k8s.io", "v1", "TokenRequest").validate(request))
    # The API marks audiences as required, and serves requests without any; so the schema cannot insist.
    problems = [problem for problem in problems if problem.field != "spec.audiences" or spec.get("audiences")]
    seconds = spec.get("expirationSeconds") if not problems else None
    if seconds is not None and seconds < _SHORTEST_SECONDS:
        message = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
        problems.append(FieldProblem("spec.expirationSeconds", "FieldValueInvalid", message))
    if problems:
        raise invalid("authentication.k8s.io", "TokenRequest", "", problems)
    return spec
