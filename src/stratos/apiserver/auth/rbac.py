"""Authorisation by roles and bindings (RBAC), read from the objects the server keeps in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stratos.apiserver.auth.contract import SYSTEM_MASTERS, Attributes, Decision, User
from stratos.apiserver.auth.rules import Rule
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.registry.resource import Obj
from stratos.base.selectors import from_label_selector

_CLUSTER_ROLES = "clusterroles.rbac.authorization.k8s.io"
_ROLES = "roles.rbac.authorization.k8s.io"
_CLUSTER_ROLE_BINDINGS = "clusterrolebindings.rbac.authorization.k8s.io"
_ROLE_BINDINGS = "rolebindings.rbac.authorization.k8s.io"
_DECISIVE = (_CLUSTER_ROLES, _ROLES, _CLUSTER_ROLE_BINDINGS, _ROLE_BINDINGS)

_EVERYTHING = (Rule(frozenset("*"), frozenset("*"), frozenset("*")), Rule(frozenset("*"), paths=frozenset("*")))

Subject = tuple[str, str]
"""``User`` or ``Group``, and the name. A service account is the user it acts as."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one binding gives one subject, in one namespace or, without one, everywhere."""

    namespace: str
    rules: tuple[Rule, ...]
    source: str  # how a decision names it
    missing_role: str = ""


class RbacAuthorizer:
    """Allows what some binding allows; members of ``system:masters`` may do anything.

    The index from subjects to grants is made anew when one of the deciding objects has changed.
    """

    def __init__(self, objects: ObservedObjects) -> None:
        self._objects = objects
        self._grants: dict[Subject, list[Grant]] = {}
        self._made_at: tuple[int, ...] | None = None

    def authorize(self, attributes: Attributes) -> Decision:
        if SYSTEM_MASTERS in attributes.user.groups:
            return Decision(True, f"allowed for members of {SYSTEM_MASTERS}")
        missing = set()
        for grant in self._grants_of(attributes.user, attributes.namespace):
            if any(rule.allows(attributes) for rule in grant.rules):
                return Decision(True, f"RBAC: allowed by {grant.source}")
            if grant.missing_role:
                missing.add(f"{grant.missing_role} not found")
        return Decision(False, f"RBAC: {', '.join(sorted(missing))}" if missing else "")

    def rules_for(self, user: User, namespace: str) -> list[dict[str, Any]]:
        return [rule.as_manifest() for rule in self.rights_of(user, namespace)]

    def rights_of(self, user: User, namespace: str) -> tuple[Rule, ...]:
        """Every rule that holds for the user in the namespace; cluster-wide ones alone when it is empty."""
        if SYSTEM_MASTERS in user.groups:
            return _EVERYTHING
        rules = [rule for grant in self._grants_of(user, namespace) for rule in grant.rules]
        return tuple(dict.fromkeys(rules))

    def rules_of_role(self, kind: str, namespace: str, name: str) -> tuple[Rule, ...] | None:
        """The rules of a Role or ClusterRole, aggregated ones included; `None` when there is no such role."""
        if kind == "Role":
            role = self._objects.get(_ROLES, namespace, name)
            return None if role is None else _own_rules(role)
        role = self._objects.get(_CLUSTER_ROLES, "", name)
        return None if role is None else self.rules_of_cluster_role(role)

    def rules_of_cluster_role(self, role: Obj) -> tuple[Rule, ...]:
        """A ClusterRole's own rules and those of all roles that its aggregation selects, and theirs in turn."""
        return tuple(dict.fromkeys(self._aggregated(role, frozenset())))

    def _aggregated(self, role: Obj, seen: frozenset[str]) -> Iterator[Rule]:
        name = role["metadata"]["name"]
        if name in seen:
            return
        yield from _own_rules(role)
        selectors = [
            from_label_selector(selector)
            for selector in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
        ]
        if not selectors:
            return
        for other in self._objects.all(_CLUSTER_ROLES):
            labels = other["metadata"].get("labels") or {}
            if any(selector.matches(labels) for selector in selectors):
                yield from self._aggregated(other, seen | {name})

    def _grants_of(self, user: User, namespace: str) -> Iterator[Grant]:
        changes = self._objects.changes(_DECISIVE)
        if changes != self._made_at:
            self._grants = self._index()
            self._made_at = changes
        subjects = [("User", user.name), *(("Group", group) for group in user.groups)]
        for subject in subjects:
            for grant in self._grants.get(subject, ()):
                if not grant.namespace or grant.namespace == namespace:
                    yield grant

    def _index(self) -> dict[Subject, list[Grant]]:
        index: dict[Subject, list[Grant]] = defaultdict(list)
        for bindings in (_CLUSTER_ROLE_BINDINGS, _ROLE_BINDINGS):
            for binding in self._objects.all(bindings):
                for subject, grant in self._grants_by(binding):
                    index[subject].append(grant)
        return dict(index)

    def _grants_by(self, binding: Obj) -> Iterator[tuple[Subject, Grant]]:
        metadata, reference = binding["metadata"], binding["roleRef"]
        namespace, kind = metadata.get("namespace", ""), str(reference["kind"])
        rules = self.rules_of_role(kind, namespace, reference["name"])
        missing = f'{kind.lower()}.rbac.authorization.k8s.io "{reference["name"]}"' if rules is None else ""
        where = f"{namespace}/" if namespace else ""
        for subject in binding.get("subjects") or ():
            known = f'{subject["kind"]} "{_subject_name(subject)}"'
            source = f'{binding["kind"]} "{where}{metadata["name"]}" of {kind} "{reference["name"]}" to {known}'
            kind_and_name = ("Group" if subject["kind"] == "Group" else "User", _user_name(subject))
            yield kind_and_name, Grant(namespace, rules or (), source, missing)


def _own_rules(role: Obj) -> tuple[Rule, ...]:
    return tuple(Rule.from_manifest(rule) for rule in role.get("rules") or ())


def _subject_name(subject: Obj) -> str:
    account = subject["kind"] == "ServiceAccount"
    return f"{subject['name']}/{subject.get('namespace', '')}" if account else str(subject["name"])


def _user_name(subject: Obj) -> str:
    if subject["kind"] == "ServiceAccount":
        return f"system:serviceaccount:{subject.get('namespace', '')}:{subject['name']}"
    return str(subject["name"])
