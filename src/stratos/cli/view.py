"""What is going on in a cluster, at a glance: pools, machines and the pods that matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from stratos.apis.meta import KubeObject
from stratos.apis.nodeclaim import NodeClaim, NodeState
from stratos.apis.nodepool import NodePool
from stratos.apis.pod import Pod
from stratos.base.duration import human_duration
from stratos.cli.pool_facts import PoolFacts, pool_facts
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.planning.pools.drain import belongs_to_node
from stratos.telemetry.logs import get_logger

log = get_logger(__name__)

_FRAME_LINES = 9  # title, three headings, the blank lines between, the last line, and the cursor's
_WIDE = 100  # from here on there is room for more than the essential columns
_NO_POOLS = "no pools yet; a first one: kubectl apply -f examples/ci-runners"
_GAP = 2  # between columns
_STILL = (NodeState.STANDBY, NodeState.RUNNING)


class ClusterView:
    """Reads the caches it is given, and never changes anything. Columns grow and never shrink, so nothing jumps."""

    def __init__(self, title: str, pools: Cache[NodePool], claims: Cache[NodeClaim], pods: Cache[Pod]) -> None:
        self._title = title
        self._pools = pools
        self._claims = claims
        self._pods = pods
        self._widths: dict[str, int] = {}

    def at(self, now: datetime) -> Frame:
        """What there is to see now; it fits itself to the terminal it is printed on."""
        claims = self._claims.list()
        pools = [pool_facts(pool, claims) for pool in self._pools.list()]
        pods = [pod for pod in self._pods.list() if not belongs_to_node(pod)]  # DaemonSets say nothing about demand
        return Frame(self._title, now, pools, claims, pods, self._widths)

    def tell_changes(self) -> None:
        """A line for each step that a pod or a machine takes from now on, for where there is no terminal."""
        _subscribe_from_now_on(self._pods, _tell_pod)
        _subscribe_from_now_on(self._claims, _tell_claim)


class Frame:
    """One picture of the cluster. ``widths`` remembers how wide each column has been."""

    def __init__(
        self,
        title: str,
        now: datetime,
        pools: Iterable[PoolFacts],
        claims: Iterable[NodeClaim],
        pods: Iterable[Pod],
        widths: dict[str, int],
    ) -> None:
        self._title = title
        self._now = now
        self._pools = sorted(pools, key=lambda pool: pool.name)
        self._claims = sorted(claims, key=_restless_first)
        self._pods = sorted(pods, key=lambda pod: _waiting_first(pod, now))
        self._widths = widths

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        wanted = (max(1, len(self._pools)), len(self._claims), len(self._pods))
        pools, machines, pods = share_lines(console.height - _FRAME_LINES, wanted)
        yield Group(
            Text(self._summary(), style="bold", no_wrap=True, overflow="ellipsis"),
            Text(),
            self._steady("pool", pool_table(self._pools, pools), width) if self._pools else Text(_NO_POOLS),
            Text(),
            self._steady("machine", machine_table(self._claims, self._now, machines, wide=width >= _WIDE), width),
            Text(),
            self._steady("pod", pod_table(self._pods, self._now, pods), width),
            Text(
                "Ctrl-C stops it · stratos explain pod/NAME tells why", style="dim", no_wrap=True, overflow="ellipsis"
            ),
        )

    def _summary(self) -> str:
        waiting = sum(pod.unschedulable for pod in self._pods)
        cost = sum(pool.usd_per_hour for pool in self._pools)
        parts = (f"{self._now:%H:%M:%S}", self._title, f"${cost:.2f}/h", f"{waiting} waiting for a node")
        return " · ".join(parts)

    def _steady(self, table_name: str, table: Table, width: int) -> Table:
        """All columns as wide as they have ever been, and the rest of ``width`` for the last."""
        left = width
        for column in table.columns[:-1]:
            name = f"{table_name}/{column.header}"
            seen = max(len(str(cell)) for cell in (column.header, *column.cells))
            column.min_width = self._widths[name] = max(seen, self._widths.get(name, 0))
            left -= column.min_width + _GAP
        table.columns[-1].max_width = max(len(str(table.columns[-1].header)), left)
        return table


def share_lines(lines: int, wanted: Sequence[int]) -> tuple[int, ...]:
    """How many of ``lines`` each part gets: what it wants, or else a fair share of what the modest leave over."""
    shares = [0] * len(wanted)
    left = max(0, lines)
    for place, part in enumerate(sorted(range(len(wanted)), key=lambda part: (wanted[part], part))):
        shares[part] = min(wanted[part], left // (len(wanted) - place))
        left -= shares[part]
    return tuple(shares)


def pool_table(pools: Sequence[PoolFacts], lines: int | None = None) -> Table:
    """One line a pool: machines of those allowed, standby ones of those wanted, the other states, and the cost.

    Spot machines, and what they save, have columns where there are any.
    """
    spot = any(pool.spot for pool in pools)
    columns = ("POOL", "MACHINES", "STANDBY", "WARMUP", "RUNNING", "LEAVING", "$/H")
    table = _table((*columns, *(("SPOT", "SAVED $/H") if spot else ()), "READY"))
    shown, more = _cut(pools, lines)
    for pool in shown:
        table.add_row(
            pool.name,
            f"{pool.total}/{pool.pool_size}",
            f"{pool.standby}/{pool.min_standby}",
            str(pool.warmup),
            str(pool.running),
            str(pool.leaving),
            f"{pool.usd_per_hour:.3f}",
            *((str(pool.spot), f"{pool.spot_saves_usd_per_hour:.3f}") if spot else ()),
            pool.ready,
        )
    return _with_last_line(table, more)


def machine_table(claims: Sequence[NodeClaim], now: datetime, lines: int | None = None, *, wide: bool = True) -> Table:
    table = _table(("MACHINE", "STATE", "SINCE", *(("TYPE", "ZONE") if wide else ()), "WHY"))
    shown, more = _cut(claims, lines)
    for claim in shown:
        status, decision = claim.status, claim.spec.decision
        table.add_row(
            claim.metadata.name,
            _state(claim),
            _since(status.state_since or claim.metadata.creation_timestamp, now),
            *((status.instance_type, status.zone) if wide else ()),
            f"{decision.reason}: {decision.message}" if decision else "",
        )
    return _with_last_line(table, more)


def pod_table(pods: Sequence[Pod], now: datetime, lines: int | None = None) -> Table:
    """Expects those that wait first."""
    table = _table(("POD", "PHASE", "AGE", "NODE"))
    shown, more = _cut(pods, lines)
    for pod in shown:
        phase = "Unschedulable" if pod.unschedulable else pod.status.phase
        age = _since(pod.metadata.creation_timestamp, now)
        table.add_row(pod.metadata.key, phase, age, pod.spec.node_name.partition(".")[0])
    return _with_last_line(table, more)


_NUMBERS = frozenset({"MACHINES", "STANDBY", "WARMUP", "RUNNING", "LEAVING", "$/H", "SPOT", "SAVED $/H"})
_Row = TypeVar("_Row")
_Object = TypeVar("_Object", bound=KubeObject)


def _table(names: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for name in names:
        table.add_column(name, no_wrap=True, overflow="ellipsis", justify="right" if name in _NUMBERS else "left")
    return table


def _with_last_line(table: Table, text: str) -> Table:
    if text:
        table.add_row(text)
    return table


def _cut(rows: Sequence[_Row], lines: int | None) -> tuple[Sequence[_Row], str]:
    """As many rows as there are lines for, the last of which says what is left out."""
    if lines is None or len(rows) <= lines:
        return rows, ""
    shown = rows[: max(0, lines - 1)]
    return shown, f"… {len(rows) - len(shown)} more" if lines else ""


def _state(claim: NodeClaim) -> str:
    """With where it is going, if it is on its way."""
    state, wanted = claim.status.state or "asked for", claim.spec.wanted
    return state if state == wanted else f"{state} → {wanted}"


def _restless_first(claim: NodeClaim) -> tuple[bool, bool, str, str]:
    state = claim.status.state
    return state in _STILL, state is NodeState.STANDBY, claim.spec.owner, claim.metadata.name


def _waiting_first(pod: Pod, now: datetime) -> tuple[bool, bool, float, str]:
    created = pod.metadata.creation_timestamp or now
    return not pod.unschedulable, pod.status.phase != "Pending", -created.timestamp(), pod.metadata.key


def _since(moment: datetime | None, now: datetime) -> str:
    return human_duration(max(0.0, (now - moment).total_seconds())) if moment else ""


def _subscribe_from_now_on(cache: Cache[_Object], tell: Callable[[CacheEvent[_Object]], None]) -> None:
    """Without what is there already: a cluster that goes on has taken those steps before."""
    known = {obj.metadata.uid for obj in cache.list()}

    def changed(event: CacheEvent[_Object]) -> None:
        if event.change is not Change.ADDED or event.object.metadata.uid not in known:
            tell(event)

    cache.subscribe(changed)


def _tell_pod(event: CacheEvent[Pod]) -> None:
    pod, old = event.object, event.old
    if event.change is Change.DELETED:
        log.info("pod is gone", pod=pod.metadata.key)
    elif pod.unschedulable and not (old and old.unschedulable):
        log.info("pod waits: no node fits", pod=pod.metadata.key)
    elif old is not None and (pod.spec.node_name, pod.status.phase) != (old.spec.node_name, old.status.phase):
        bound = pod.status.phase == "Pending" and pod.spec.node_name
        log.info(
            "pod bound" if bound else f"pod {pod.status.phase.lower()}", pod=pod.metadata.key, node=pod.spec.node_name
        )


def _tell_claim(event: CacheEvent[NodeClaim]) -> None:
    claim, old = event.object, event.old
    if event.change is Change.DELETED:
        log.info("machine is gone", machine=claim.metadata.name)
    elif old is None or claim.spec.wanted is not old.spec.wanted:
        why = claim.spec.decision.message if claim.spec.decision else ""
        log.info("machine wanted " + claim.spec.wanted, machine=claim.metadata.name, why=why)
    elif claim.status.state is not old.status.state:
        node = {"node": claim.status.node_name} if claim.status.node_name else {}
        log.info(f"machine in {claim.status.state}", machine=claim.metadata.name, **node)
