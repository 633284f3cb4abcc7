"""The limits once more, where they count: may the machine of a claim be launched now?

Plans count what their makers saw, and several makers see several things: the loop for waiting pods, disruption, people.
Whatever they ask for together, machines are launched only as far as the limits go: first come, first served, in the
order of the ledger. A claim whose launch has begun counts for all that are judged after it, so no limit is ever
exceeded, whichever claims were seen when.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from stratos.apis.meta import find_condition
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim, Wanted
from stratos.apis.nodetemplate import Limits, NodeTemplate
from stratos.catalog.catalog import Catalog
from stratos.planning.provisioning.limits import Budget, ClusterLimits


def over_limit(
    claim: NodeClaim,
    claims: Iterable[NodeClaim],
    templates: Iterable[NodeTemplate],
    catalog: Catalog,
    *,
    limits: ClusterLimits,
    begun: Collection[str] = (),
) -> str:
    """Which limit the launch of ``claim`` would exceed, in a sentence. Empty when it may go ahead.

    ``begun`` are claims (by name) that were let go ahead, whether or not the ledger says so already.
    """
    if claim.metadata.name in begun or _was_asked_for(claim):
        return ""
    templates = tuple(templates)
    if limits == ClusterLimits() and all(template.spec.limits == Limits() for template in templates):
        return ""
    counted = [each for each in claims if each.spec.template and each.wish is not Wanted.GONE and not _refused(each)]
    ahead = {each.metadata.name for each in counted if each.metadata.name in begun or _was_asked_for(each)}
    budget = Budget(
        templates,
        (each for each in counted if each.metadata.name in ahead),
        catalog,
        cluster_cost_limit_usd_per_hour=limits.cost_usd_per_hour,
        cluster_gpu_limit=limits.gpus,
    )
    for each in sorted((each for each in counted if each.metadata.name not in ahead), key=_place_in_line):
        why = budget.refuses_claim(each)
        if each.metadata.name == claim.metadata.name:
            return why
        if not why:
            budget.take_claim(each)
    return ""


def _was_asked_for(claim: NodeClaim) -> bool:
    """Whether the cloud has been asked for its machine, or is about to be."""
    return (
        claim.status.state is not None or find_condition(claim.status.conditions, ClaimCondition.LAUNCHED) is not None
    )


def _refused(claim: NodeClaim) -> bool:
    launched = find_condition(claim.status.conditions, ClaimCondition.LAUNCHED)
    return claim.status.state is None and launched is not None and launched.status == "False"


def _place_in_line(claim: NodeClaim) -> tuple[float, str]:
    made = claim.metadata.creation_timestamp
    return (made.timestamp() if made is not None else math.inf), claim.metadata.uid
