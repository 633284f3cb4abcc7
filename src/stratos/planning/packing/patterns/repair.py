"""Small changes to whole machines that can only help: trim, empty, merge, and change to cheaper kinds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.patterns.shelf import Counts, Pattern, Shelf

MOST_EMPTIED = 300  # machines that are tried: those that waste most of their price
MOST_MERGED = 150  # of those, how many are looked at in pairs


def repair(shelf: Shelf, patterns: list[Pattern]) -> list[Pattern]:
    """The same pods, each exactly once, for no more money."""
    machines = _emptied(shelf, _trimmed(shelf, patterns))
    return _merged(shelf, _downsized(shelf, machines))


def _trimmed(shelf: Shelf, patterns: list[Pattern]) -> list[Pattern]:
    """Patterns may cover more pods than there are; what is too much is left out, where most is wasted anyway."""
    waiting = shelf.demand.pods.copy()
    trimmed: list[Pattern] = []
    for pattern in sorted(patterns, key=lambda each: _waste(shelf, each)):
        counts = np.minimum(pattern.counts, waiting)
        waiting -= counts
        if counts.any():
            trimmed.append(Pattern(pattern.kind, counts))
    return trimmed


def _waste(shelf: Shelf, pattern: Pattern) -> float:
    """The price of what stands empty, for want of anything better measured by the fullest resource."""
    used = (pattern.counts @ shelf.demand.requests) / np.maximum(shelf.demand.capacity[pattern.kind], 1)
    return float(shelf.demand.price_usd_per_hour[pattern.kind] * (1 - used.max(initial=0.0)))


def _emptied(shelf: Shelf, machines: list[Pattern]) -> list[Pattern]:
    """Do without machines whose pods find room on the others, the most wasteful first."""
    demand = shelf.demand
    kinds = np.array([machine.kind for machine in machines], dtype=np.int64)
    counts = np.stack([machine.counts for machine in machines])
    free = demand.capacity[kinds] - counts @ demand.requests
    kept = np.ones(len(machines), dtype=np.bool_)
    ranked = sorted(range(len(machines)), key=lambda i: (-_waste(shelf, machines[i]), i))
    for i in [i for i in ranked if demand.price_usd_per_hour[kinds[i]] > 0][:MOST_EMPTIED]:
        kept[i] = False
        moved = _moved(shelf, counts[i], kinds, counts, np.where(kept[:, None], free, 0), kept)
        if moved is None:
            kept[i] = True
            continue
        for c, taken in moved.items():
            counts[:, c] += taken
            free -= taken[:, None] * demand.requests[c]
    return [Pattern(int(kinds[i]), counts[i]) for i in np.flatnonzero(kept)]


def _moved(
    shelf: Shelf,
    pods: Counts,
    kinds: NDArray[np.int64],
    counts: NDArray[np.int64],
    free: NDArray[np.int64],
    others: NDArray[np.bool_],
) -> dict[int, NDArray[np.int64]] | None:
    """By class: how many of its pods each of the others takes over, if they can take them all. Uses ``free`` up."""
    requests = shelf.demand.requests
    if (free.sum(axis=0) < pods @ requests).any():
        return None
    moved: dict[int, NDArray[np.int64]] = {}
    for c in sorted(np.flatnonzero(pods).tolist(), key=lambda c: (-float(shelf.weight[c].max(initial=0.0)), c)):
        asked = requests[c] > 0
        room = np.minimum(np.where(others, shelf.most[c, kinds] - counts[:, c], 0), pods[c])
        if asked.any():
            room = np.minimum(room, (free[:, asked] // requests[c, asked]).min(axis=1))
        for rival in shelf.rivals[c]:
            room = np.where(counts[:, rival] + moved.get(rival, 0) > 0, 0, room)
        room = np.maximum(room, 0)
        taken = np.clip(pods[c] - (np.cumsum(room) - room), 0, room)
        if taken.sum() < pods[c]:
            return None
        moved[c] = taken
        free -= taken[:, None] * requests[c]
    return moved


def _downsized(shelf: Shelf, machines: list[Pattern]) -> list[Pattern]:
    """Each machine of the cheapest kind that holds its pods."""
    stock = _left_of(shelf, machines)
    downsized = []
    for machine in machines:
        stock[machine.kind] += stock[machine.kind] >= 0
        kind = _cheapest(shelf, machine.counts, stock)
        kind = machine.kind if kind is None else kind
        stock[kind] -= stock[kind] > 0
        downsized.append(Pattern(kind, machine.counts))
    return downsized


def _merged(shelf: Shelf, machines: list[Pattern]) -> list[Pattern]:
    """Two machines into one that costs less, as long as there are such."""
    price = shelf.demand.price_usd_per_hour
    ranked = sorted(range(len(machines)), key=lambda i: (-_waste(shelf, machines[i]), i))
    kept = [machines[i] for i in ranked[MOST_MERGED:]]
    open_ = [machines[i] for i in ranked[:MOST_MERGED]]
    stock = _left_of(shelf, machines)
    while len(open_) > 1:
        one = open_.pop(0)
        best: tuple[float, int, int] | None = None
        loads = np.stack([other.counts @ shelf.demand.requests for other in open_])
        held = (loads + one.counts @ shelf.demand.requests)[:, None, :] <= shelf.demand.capacity[None, :, :]
        saving = price[one.kind] + price[[other.kind for other in open_]][:, None] - price[None, :]
        hopeful = held.all(axis=2) & (stock != 0)[None, :] & (saving > 1e-9)
        for i, kind in np.argwhere(hopeful).tolist():
            if (best is None or saving[i, kind] > best[0]) and _is_lawful(shelf, kind, one.counts + open_[i].counts):
                best = float(saving[i, kind]), i, kind
        if best is None:
            kept.append(one)
            continue
        _, i, kind = best
        other = open_.pop(i)
        for gone in (one, other):
            stock[gone.kind] += stock[gone.kind] >= 0
        stock[kind] -= stock[kind] > 0
        open_.append(Pattern(kind, one.counts + other.counts))
    return kept + open_


def _left_of(shelf: Shelf, machines: list[Pattern]) -> NDArray[np.int64]:
    used = np.bincount([machine.kind for machine in machines], minlength=len(shelf.room))
    return np.where(shelf.demand.limit >= 0, shelf.demand.limit - used, shelf.demand.limit)


def _cheapest(shelf: Shelf, counts: Counts, stock: NDArray[np.int64]) -> int | None:
    demand = shelf.demand
    held = counts > 0
    can = (demand.capacity >= counts @ demand.requests).all(axis=1) & (stock != 0)
    can &= (shelf.most[held] >= counts[held][:, None]).all(axis=0)
    if not can.any():
        return None
    return int(np.where(can, demand.price_usd_per_hour, np.inf).argmin())


def _is_lawful(shelf: Shelf, kind: int, counts: Counts) -> bool:
    held = np.flatnonzero(counts)
    apart = any(counts[rival] for c in held.tolist() for rival in shelf.rivals[c])
    return not apart and bool((shelf.most[held, kind] >= counts[held]).all())
