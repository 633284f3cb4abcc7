"""PolicyRules: what one rule allows, and whether one set of rules holds all that another grants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from stratos.apiserver.auth.contract import Attributes
from stratos.apiserver.registry.resource import Obj

_ALL = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """One PolicyRule, ready to be asked."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()

    @classmethod
    def from_manifest(cls, rule: Obj) -> Rule:
        return cls(
            verbs=frozenset(rule.get("verbs") or ()),
            groups=frozenset(rule.get("apiGroups") or ()),
            resources=frozenset(rule.get("resources") or ()),
            names=frozenset(rule.get("resourceNames") or ()),
            paths=frozenset(rule.get("nonResourceURLs") or ()),
        )

    def allows(self, attributes: Attributes) -> bool:
        if not _holds(self.verbs, attributes.verb):
            return False
        if not attributes.is_resource:
            return any(_path_matches(pattern, attributes.path) for pattern in self.paths)
        return (
            _holds(self.groups, attributes.group)
            and self._has_resource(attributes.resource, attributes.subresource)
            and (not self.names or attributes.name in self.names)
        )

    def _has_resource(self, resource: str, subresource: str) -> bool:
        if _ALL in self.resources:
            return True
        if not subresource:
            return resource in self.resources
        return f"{resource}/{subresource}" in self.resources or f"*/{subresource}" in self.resources

    def covers(self, part: Rule) -> bool:
        """Whether this rule grants all of a rule that is a single part, as `parts` makes them."""
        if not all(_holds(self.verbs, verb) for verb in part.verbs):
            return False
        if part.paths:
            return all(any(_path_matches(pattern, path) for pattern in self.paths) for path in part.paths)
        return (
            all(_holds(self.groups, group) for group in part.groups)
            and all(self._has_resource(*_split(resource)) for resource in part.resources)
            and (not self.names or (bool(part.names) and part.names <= self.names))
        )

    def parts(self) -> Iterator[Rule]:
        """The same rights, one verb on one thing each."""
        for verb in sorted(self.verbs):
            verbs = frozenset((verb,))
            for path in sorted(self.paths):
                yield Rule(verbs, paths=frozenset((path,)))
            for group in sorted(self.groups):
                for resource in sorted(self.resources):
                    for names in [frozenset((name,)) for name in sorted(self.names)] or [frozenset[str]()]:
                        yield Rule(verbs, frozenset((group,)), frozenset((resource,)), names)

    def as_manifest(self) -> dict[str, Any]:
        fields = {
            "verbs": self.verbs,
            "apiGroups": self.groups,
            "resources": self.resources,
            "resourceNames": self.names,
            "nonResourceURLs": self.paths,
        }
        return {name: sorted(values) for name, values in fields.items() if values or name == "verbs"}

    def __str__(self) -> str:
        shown = (
            ("APIGroups", self.groups),
            ("Resources", self.resources),
            ("ResourceNames", self.names),
            ("NonResourceURLs", self.paths),
            ("Verbs", self.verbs),
        )
        listed = [f"{name}:[{' '.join(_quoted(sorted(values)))}]" for name, values in shown if values]
        return "{" + ", ".join(listed) + "}"


def missing_rights(held: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """What ``wanted`` grants beyond ``held``, in single parts."""
    owned = list(held)
    return [part for rule in wanted for part in rule.parts() if not any(rule.covers(part) for rule in owned)]


def _quoted(values: Iterable[str]) -> list[str]:
    return [f'"{value}"' for value in values]


def _holds(values: frozenset[str], value: str) -> bool:
    return value in values or _ALL in values


def _split(resource: str) -> tuple[str, str]:
    base, _, subresource = resource.partition("/")
    return base, subresource


def _path_matches(pattern: str, path: str) -> bool:
    return pattern == path or (pattern.endswith(_ALL) and path.startswith(pattern[:-1]))
