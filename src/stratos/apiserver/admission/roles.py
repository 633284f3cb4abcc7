"""Nobody hands out more rights than they hold, unless they may ``escalate`` the role or ``bind`` to it."""

from __future__ import annotations

from stratos.apiserver.admission.contract import AdmissionRequest, Operation
from stratos.apiserver.admission.plugins import Plugin, refuse
from stratos.apiserver.auth.contract import SYSTEM_MASTERS, Attributes
from stratos.apiserver.auth.rbac import RbacAuthorizer
from stratos.apiserver.auth.rules import Rule, missing_rights
from stratos.apiserver.registry.builtin.rbac import RBAC_GROUP
from stratos.apiserver.registry.resource import Obj

_ROLE_PLURALS = {"Role": "roles", "ClusterRole": "clusterroles"}


class RoleEscalation(Plugin):
    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, request: AdmissionRequest) -> None:
        writes = request.operation in (Operation.CREATE, Operation.UPDATE)
        if not writes or request.obj is None or request.resource.group != RBAC_GROUP:
            return
        if SYSTEM_MASTERS in request.user.groups or not _grants_change(request.obj, request.old_obj):
            return
        if request.resource.kind in _ROLE_PLURALS:
            if not self._may(request, "escalate", request.resource.plural, request.name):
                self._refuse_more_than_held(request, self._rules_in(request.obj))
            return
        reference = request.obj["roleRef"]
        if self._may(request, "bind", _ROLE_PLURALS[reference["kind"]], reference["name"]):
            return
        rules = self._authorizer.rules_of_role(reference["kind"], request.namespace, reference["name"])
        if rules is None:
            plural = f"{_ROLE_PLURALS[reference['kind']]}.{RBAC_GROUP}"
            raise refuse(request, f'{plural} "{reference["name"]}" not found')
        self._refuse_more_than_held(request, rules)

    def _rules_in(self, role: Obj) -> tuple[Rule, ...]:
        if role.get("kind") == "ClusterRole":
            return self._authorizer.rules_of_cluster_role(role)
        return tuple(Rule.from_manifest(rule) for rule in role.get("rules") or ())

    def _may(self, request: AdmissionRequest, verb: str, resource: str, name: str) -> bool:
        attributes = Attributes(
            request.user,
            verb,
            group=RBAC_GROUP,
            version="v1",
            resource=resource,
            namespace=request.namespace,
            name=name,
        )
        return self._authorizer.authorize(attributes).allowed

    def _refuse_more_than_held(self, request: AdmissionRequest, wanted: tuple[Rule, ...]) -> None:
        held = self._authorizer.rights_of(request.user, request.namespace)
        if missing := missing_rights(held, wanted):
            groups = " ".join(f'"{group}"' for group in request.user.groups)
            who = f'user "{request.user.name}" (groups=[{groups}])'
            listed = "\n".join(str(rule) for rule in missing)
            raise refuse(request, f"{who} is attempting to grant RBAC permissions not currently held:\n{listed}")


def _grants_change(new: Obj, old: Obj | None) -> bool:
    if old is None:
        return True
    return any(new.get(field) != old.get(field) for field in ("rules", "aggregationRule", "roleRef", "subjects"))
