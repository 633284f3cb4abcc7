"""One interrupted machine as it was seen: its claim, the pods on its node, and the machines that come for these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from stratos.apis.nodeclaim import NodeClaim
from stratos.apis.pod import Pod


@dataclass(frozen=True, slots=True)
class InterruptionSnapshot:
    """What we believed at one moment. It may already be stale."""

    taken_at: datetime
    claim: NodeClaim
    pods: tuple[Pod, ...] = ()  # on its node, finished ones and those of DaemonSets too
    made_for_them: tuple[NodeClaim, ...] = ()  # other claims whose decision names some of these pods
