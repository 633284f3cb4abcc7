"""What tests of whole plans share: a small shop, a default template, and the plan for a look."""

from __future__ import annotations

from typing import Any

import msgspec

from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import Pod
from stratos.planning.packing.pack import Effort
from stratos.planning.provisioning import plan_provisioning
from stratos.planning.provisioning.plan import ProvisioningPlan
from stratos.testing.provisioning_builders import a_gpu, a_look, a_shop, a_template, a_type, a_waiting_pod

SHOP = a_shop(
    (a_type("c6a.xlarge", 4, 8), 0.153, 0.06),
    (a_type("m6a.xlarge", 4, 16), 0.173, 0.07),
    (a_type("r6a.xlarge", 4, 32), 0.227, 0.075),
    (a_type("g4dn.xlarge", 4, 16, gpu=a_gpu("T4")), 0.526, 0.16),
    (a_type("g4dn.12xlarge", 48, 192, gpu=a_gpu("T4", 4)), 3.912, 1.2),
    (a_type("g6.xlarge", 4, 16, gpu=a_gpu("L4")), 0.805, 0.3),
)
LUNA = {"elotl-luna": "true"}


def plan_of(*templates: NodeTemplate, **look: Any) -> ProvisioningPlan:
    return plan_provisioning(a_look(*templates, shop=SHOP, **look), effort=Effort.FAST)


def everybodys(name: str = "default", **spec: Any) -> NodeTemplate:
    return a_template(name, isDefault=True, **spec)


def types_of(plan: ProvisioningPlan) -> list[str]:
    return sorted(new.candidate.offering.instance_type for new in plan.machines)


def selected(name: str, **more: Any) -> Pod:
    """A pod that gets a machine of its own under thresholds."""
    return a_waiting_pod(name, cpu=3, **more)


def remembering(template: NodeTemplate, plan: ProvisioningPlan) -> NodeTemplate:
    """The template once its status tells what the plan backs off."""
    status = msgspec.structs.replace(template.status, backed_off=plan.backed_off[template.metadata.name])
    return msgspec.structs.replace(template, status=status)
