"""A near-optimal mix where there are too many patterns to list: blend, generate, round, repair."""

from __future__ import annotations

from stratos.planning.packing.patterns.blend import blend_of
from stratos.planning.packing.patterns.construct import follow_blend, in_turns
from stratos.planning.packing.patterns.core import core_of, only
from stratos.planning.packing.patterns.effort import Effort
from stratos.planning.packing.patterns.generation import Generated, bound_of, deepen, generate
from stratos.planning.packing.patterns.knapsack import Knapsacks
from stratos.planning.packing.patterns.master import Master, WholeSolution
from stratos.planning.packing.patterns.repair import repair
from stratos.planning.packing.patterns.rounding import round_to_machines
from stratos.planning.packing.patterns.shelf import Pattern, Shelf
from stratos.planning.packing.patterns.tables import Tables

GOOD_ENOUGH = 0.003  # a gap below which further work is not worth anybody's time
MOST_ROUNDS = 60
LEFT_FOR_ROUNDING = 0.5  # of the effort: without it, the best mix of patterns is of no use
ROUNDS_BEFORE_TABLES = 1
LEFT_AFTER_TABLES = 0.3  # of the effort: rounding again must still be possible
SETTLED_AT_ONCE = (0.5, 0.3, 0.4, 0.6)  # where one way to round ends badly, another may not
LEFT_UNUSED = 0.15  # of the effort: too little to round once more
FEW_PODS_A_MACHINE = 6.0  # then the fast fillings and their bound are far off; sharp tables are not
FEW_CLASSES = 150
FEW_MACHINES = 12  # then one machine more or less is far from the fractional mix: let the integer program choose …
MOST_NODES = 1  # the root: there it finds nearly all it ever finds
TURNS = 20  # … among what many ways of filling machines come to


def search(shelf: Shelf, start: list[Pattern], effort: Effort) -> WholeSolution:
    """No worse than ``start``, which holds all pods."""
    waiting, stock = shelf.demand.pods, shelf.demand.limit
    knapsacks = Knapsacks(shelf, effort)
    kinds = core_of(shelf, knapsacks)
    if len(kinds) == len(shelf.room):
        core, known = shelf, start
    else:
        place = {kind: i for i, kind in enumerate(kinds.tolist())}
        core = only(shelf, kinds)
        known = [Pattern(place[pattern.kind], pattern.counts) for pattern in start if pattern.kind in place]
    found = _search_core(core, known, effort)
    if found is None:
        return WholeSolution(start, 0.0)
    best, generated = found
    best = [Pattern(int(kinds[pattern.kind]), pattern.counts) for pattern in best]
    bound = generated.bound_usd_per_hour
    if core is not shelf:
        best = repair(shelf, best)
        worth = knapsacks.worth_at_most(generated.values, waiting)
        bound, _ = bound_of(shelf, worth, generated.values, waiting, stock)
    return WholeSolution(min(start, best, key=shelf.cost), bound)


def _search_core(shelf: Shelf, known: list[Pattern], effort: Effort) -> tuple[list[Pattern], Generated] | None:
    """Machines that hold all pods, and the patterns and values behind them. None: there is no beginning."""
    waiting, stock = shelf.demand.pods, shelf.demand.limit
    knapsacks = Knapsacks(shelf, effort)
    blend = blend_of(shelf, waiting, stock)
    if blend is None:
        return None
    tables = Tables(shelf, effort, waiting, blend.machines)
    by_tables = tables.are_sharp and waiting.sum() <= FEW_PODS_A_MACHINE * blend.machines.sum()
    is_covered = bool((sum((pattern.counts for pattern in known), 0 * waiting) >= waiting).all())
    followed = None
    if not by_tables or not is_covered:
        followed = follow_blend(shelf, knapsacks, waiting, stock)
    generated = generate(
        shelf,
        knapsacks,
        waiting,
        stock,
        patterns=[*known, *(followed or ())],
        values=blend.values,
        most_rounds=ROUNDS_BEFORE_TABLES if by_tables else MOST_ROUNDS,
        good_enough=GOOD_ENOUGH,
        effort_to_leave=LEFT_FOR_ROUNDING,
    )
    if generated is None:
        return None
    if by_tables:
        generated = deepen(
            shelf,
            knapsacks,
            tables,
            generated,
            waiting,
            stock,
            good_enough=GOOD_ENOUGH,
            effort_to_leave=LEFT_AFTER_TABLES,
        )
    enough = generated.bound_usd_per_hour * (1 + GOOD_ENOUGH)
    best = None if followed is None else repair(shelf, followed)
    seen: list[Pattern] = []
    for share in SETTLED_AT_ONCE:
        if best is not None and (shelf.cost(best) <= enough or not effort.has_left(LEFT_UNUSED)):
            break
        rounded = round_to_machines(shelf, knapsacks, generated, waiting, stock, settled_at_once=share)
        if rounded is not None:
            repaired = repair(shelf, rounded)
            seen.extend(repaired)
            best = repaired if best is None else min(best, repaired, key=shelf.cost)
    if best is None:
        return None
    if shelf.cost(best) > enough and len(best) <= FEW_MACHINES and len(waiting) <= FEW_CLASSES:
        turns = in_turns(shelf, knapsacks, generated.values, waiting, stock, turns=TURNS)
        best = min([best, *(repair(shelf, answer) for answer in turns)], key=shelf.cost)
        seen.extend(pattern for answer in turns for pattern in answer)
        best = _recombined(shelf, generated, seen, best)
    return best, generated


def _recombined(shelf: Shelf, generated: Generated, seen: list[Pattern], best: list[Pattern]) -> list[Pattern]:
    """Let the integer program choose among all patterns known, no matter which way they were found.

    A machine that wastes more than the best answer still has to lose is in no better one.
    """
    price, values = shelf.demand.price_usd_per_hour, generated.solution.values
    to_lose = shelf.cost(best) - generated.solution.cost_usd_per_hour
    master = Master(shelf, shelf.demand.pods, shelf.demand.limit)
    master.add(
        pattern
        for pattern in [*generated.master.patterns, *seen]
        if price[pattern.kind] - float(values @ pattern.counts) <= to_lose
    )
    whole = master.solve_whole(best, most_nodes=MOST_NODES, relative_gap=GOOD_ENOUGH)
    return min(best, repair(shelf, whole.patterns), key=shelf.cost)
