"""The claim of a machine to get, as it is written into the ledger."""

from __future__ import annotations

from typing import Any

import msgspec

from stratos.apis import labels
from stratos.apis.nodeclaim import Wanted
from stratos.apis.nodetemplate import NODE_TEMPLATE, NodeTemplate
from stratos.planning.provisioning.plan import NewMachine


def claim_manifest(name: str, template: NodeTemplate, new: NewMachine) -> dict[str, Any]:
    ref, offering = template.spec.node_class_ref, new.candidate.offering
    return {
        "metadata": {
            "name": name,
            "labels": {labels.TEMPLATE: new.template},
            "finalizers": [labels.CLAIM_FINALIZER],
            "ownerReferences": [
                {
                    "apiVersion": NODE_TEMPLATE.api_version,
                    "kind": NODE_TEMPLATE.kind,
                    "name": template.metadata.name,
                    "uid": template.metadata.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "template": new.template,
            "nodeClassRef": {"kind": ref.kind, "name": ref.name},
            "wanted": Wanted.RUNNING,
            "instanceType": offering.instance_type,
            "zone": offering.zone,
            "capacityType": offering.capacity_type,
            "priceUSDPerHour": new.candidate.price_usd_per_hour,
            "node": msgspec.to_builtins(new.node),
            "decision": msgspec.to_builtins(new.decision),
        },
    }
