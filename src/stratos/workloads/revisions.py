"""Names for pod templates, and the ControllerRevisions that StatefulSets and DaemonSets remember them by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from stratos.apis.meta import Kind, KubeObject
from stratos.apis.workload import CONTROLLER_REVISION, POD_TEMPLATE_HASH, ControllerRevision, PodTemplate
from stratos.workloads.pods import controller_reference, template_labels

# Kubernetes' safe letters for generated names: no vowels, hence no words.
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_ENCODER = msgspec.json.Encoder(order="deterministic")


def canonical_template(template: PodTemplate) -> PodTemplate:
    """The template without what controllers and servers put into it, so that equal wishes compare equal."""
    metadata = dict(template.get("metadata") or {})
    metadata.pop("creationTimestamp", None)
    if labels := metadata.pop("labels", None):
        labels = {key: value for key, value in labels.items() if key != POD_TEMPLATE_HASH}
    return {**template, "metadata": {**metadata, "labels": labels} if labels else metadata}


def template_hash(template: PodTemplate, collision_count: int | None = None) -> str:
    """Ten letters that stand for a template. A collision counter gives the same template another name."""
    digest = hashlib.sha256(_ENCODER.encode(canonical_template(template)))
    if collision_count:
        digest.update(str(collision_count).encode())
    number = int.from_bytes(digest.digest()[:8], "big")
    letters = []
    for _ in range(10):
        number, letter = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)


@dataclass(frozen=True, slots=True)
class Revisions:
    """The history of one owner.

    ``create`` and ``renumber`` are the writes by which ``update`` becomes the newest; ``delete`` is the history beyond
    the limit.
    """

    current: ControllerRevision
    update: ControllerRevision
    create: dict[str, Any] | None
    renumber: int | None
    delete: tuple[ControllerRevision, ...]


def plan_revisions(
    kind: Kind[Any],
    owner: KubeObject,
    template: PodTemplate,
    history: Sequence[ControllerRevision],
    *,
    current_name: str,
    in_use: frozenset[str],
    limit: int,
    collision_count: int | None,
) -> Revisions:
    """Find or make the revision of ``template``; forget the oldest that no pod in ``in_use`` runs any more."""
    ordered = sorted(history, key=lambda revision: (revision.revision, revision.metadata.name))
    wanted = canonical_template(template)
    newest = ordered[-1].revision if ordered else 0
    update = next((each for each in reversed(ordered) if canonical_template(revision_template(each)) == wanted), None)
    create = renumber = None
    if update is None:
        create = _new_revision(kind, owner, template, newest + 1, collision_count)
        update = msgspec.convert(create, ControllerRevision)
    elif update.revision < newest:
        renumber = newest + 1
    current = next((each for each in ordered if each.metadata.name == current_name), update)
    kept = in_use | {update.metadata.name, current.metadata.name}
    old = [each for each in ordered if each.metadata.name not in kept]
    return Revisions(current, update, create, renumber, tuple(old[: max(0, len(old) - limit)]))


def revision_template(revision: ControllerRevision) -> PodTemplate:
    template = (revision.data.get("spec") or {}).get("template") or {}
    return {key: value for key, value in template.items() if key != "$patch"}


def _new_revision(
    kind: Kind[Any], owner: KubeObject, template: PodTemplate, number: int, collision_count: int | None
) -> dict[str, Any]:
    return {
        "apiVersion": CONTROLLER_REVISION.api_version,
        "kind": CONTROLLER_REVISION.kind,
        "metadata": {
            "name": f"{owner.metadata.name}-{template_hash(template, collision_count)}",
            "namespace": owner.metadata.namespace,
            "labels": template_labels(template),
            # kubectl takes the cause of a change from here when it prints the history of a rollout.
            "annotations": {
                key: value
                for key, value in owner.metadata.annotations.items()
                if key != "kubectl.kubernetes.io/last-applied-configuration"
            },
            "ownerReferences": [controller_reference(kind, owner)],
        },
        # "$patch: replace" makes the document a strategic merge patch that restores the template whole.
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
        "revision": number,
    }
