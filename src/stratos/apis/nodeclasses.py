"""The kinds that a ``nodeClassRef`` may name, taken together."""

from __future__ import annotations

from typing import Any

from stratos.apis.awsnodeclass import AWS_NODE_CLASS, AWSNodeClass
from stratos.apis.meta import Kind
from stratos.apis.nodeclaim import NodeClaim
from stratos.apis.nodepool import NodeClassRef, NodePool
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.simnodeclass import SIM_NODE_CLASS, SimNodeClass

NodeClass = AWSNodeClass | SimNodeClass

NODE_CLASS_KINDS: dict[str, Kind[Any]] = {kind.kind: kind for kind in (AWS_NODE_CLASS, SIM_NODE_CLASS)}


def prepares_machines(node_class: NodeClass) -> bool:
    """Whether its machines run what we send them: then they pull images, and turn themselves off if they are to.

    Bottlerocket runs no scripts, and user data of somebody's own brings whatever it brings.
    """
    if not isinstance(node_class, AWSNodeClass):
        return True
    return node_class.spec.bootstrap_template != "Bottlerocket" and node_class.spec.user_data is None


def class_of_pool(pool: NodePool) -> NodeClassRef:
    """The class that launches a pool's machines; of a pool with inline settings (G0), the one made from them."""
    ref = pool.spec.template.node_class_ref
    return ref or NodeClassRef(kind="AWSNodeClass", name=pool.metadata.name)


def class_key(owner: NodePool | NodeTemplate | NodeClaim) -> str:
    """``kind/name`` of the class."""
    ref = class_of_pool(owner) if isinstance(owner, NodePool) else owner.spec.node_class_ref
    return f"{ref.kind}/{ref.name}"
