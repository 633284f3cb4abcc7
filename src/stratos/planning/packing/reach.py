"""Where the rules about other pods let a class go now: which bins, how many in each, and what must be divided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.classes import NO_LIMIT
from stratos.planning.packing.counting import Company, SpreadRule
from stratos.planning.packing.domains import Domains

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Reach:
    bins: Mask
    lots: Mask  # from which a machine may be opened
    most: NDArray[np.int64] | None = None  # in each bin; None: any number
    in_one_machine: int = NO_LIMIT  # of such pods, in a machine that is opened now
    at_once: int = NO_LIMIT  # how many may be placed before asking again
    divides_by: str | None = None  # the key by which pods have to be divided …
    dividing: SpreadRule | None = None  # … and the constraint that says how, if it is not just one a domain
    starts_by: str | None = None  # nobody of a group that wants to be together by this key is there yet


def reach_of(company: Company, domains: Domains, bins: Mask, lots: Mask) -> Reach:
    """``bins`` and ``lots`` are those that the rules about nodes admit."""
    reach = Reach(bins=bins, lots=lots)
    if company.is_plain:
        return reach
    for count in company.away_from:
        free = count.pods(domains.size(count.key)) == 0
        reach.bins = reach.bins & free[domains.of_bins(count.key)]
        if not domains.is_unique(count.key):
            reach.lots = reach.lots & free[domains.of_lots(count.key)]
    _go_together(reach, company, domains)
    shared: list[tuple[str, SpreadRule | None]] = []
    for key in sorted(company.alone_by):
        if domains.is_unique(key):
            _limit(reach, 1)
        elif not any(rule.key == key and rule.constraint.counts_itself for rule in company.spread):
            shared.append((key, None))
    for rule in company.spread:
        if domains.is_unique(rule.key):
            _spread_over_hosts(reach, rule, domains)
        elif rule.constraint.counts_itself:
            _require_label(reach, rule.key, domains)
            shared.append((rule.key, rule))
        else:
            _keep_to_the_emptiest(reach, rule, domains)
    if len(shared) == 1:
        ((reach.divides_by, reach.dividing),) = shared
    elif shared:
        # Several at once are settled pod by pod, each where all of them allow it.
        for _, dividing in shared:
            if dividing is not None:
                _keep_to_the_emptiest(reach, dividing, domains)
        reach.at_once = 1
    if reach.starts_by is not None and (shared or len(company.together) > 1):
        reach.starts_by, reach.at_once = None, 1
    return reach


def _go_together(reach: Reach, company: Company, domains: Domains) -> None:
    if not company.together:
        return
    if company.may_start and not any(count.total for count in company.together):
        for count in company.together:
            _require_label(reach, count.key, domains)
        reach.starts_by = company.together[0].key
        return
    for count in company.together:
        there = count.pods(domains.size(count.key)) > 0
        reach.bins = reach.bins & there[domains.of_bins(count.key)]
        if domains.is_unique(count.key):
            reach.lots = np.zeros_like(reach.lots)  # nobody is on a host that is not there yet
        else:
            reach.lots = reach.lots & there[domains.of_lots(count.key)]


def _require_label(reach: Reach, key: str, domains: Domains) -> None:
    reach.bins = reach.bins & (domains.of_bins(key) >= 0)
    if not domains.is_unique(key):
        reach.lots = reach.lots & (domains.of_lots(key) >= 0)


def _limit(reach: Reach, most: int) -> None:
    reach.in_one_machine = min(reach.in_one_machine, most)


def _spread_over_hosts(reach: Reach, rule: SpreadRule, domains: Domains) -> None:
    """As long as a machine can be had there is an empty host to come, so none may hold more than the skew."""
    constraint = rule.constraint
    pods = rule.count.pods(domains.size(rule.key))
    _require_label(reach, rule.key, domains)
    codes = domains.of_bins(rule.key)
    lowest = 0
    if not reach.lots.any():
        seen = rule.count.seen(domains)
        if seen and len(seen) >= constraint.min_domains:
            lowest = int(pods[seen].min())
    if constraint.counts_itself:
        more = np.maximum(constraint.max_skew + lowest - pods[codes], 0)
        reach.most = more if reach.most is None else np.minimum(reach.most, more)
        if reach.lots.any():
            _limit(reach, constraint.max_skew)
    else:
        reach.bins = reach.bins & (pods[codes] - lowest <= constraint.max_skew)


def _keep_to_the_emptiest(reach: Reach, rule: SpreadRule, domains: Domains) -> None:
    """Go only where one pod more is within the skew, as things stand."""
    constraint = rule.constraint
    _require_label(reach, rule.key, domains)
    size = domains.size(rule.key)
    pods = rule.count.pods(size)
    codes, lot_codes = domains.of_bins(rule.key), domains.of_lots(rule.key)
    known = sorted({*rule.count.seen(domains), *lot_codes[reach.lots].tolist()})
    lowest = int(pods[known].min()) if known and len(known) >= constraint.min_domains else 0
    allowed = pods + constraint.counts_itself - lowest <= constraint.max_skew
    reach.bins = reach.bins & allowed[codes]
    reach.lots = reach.lots & allowed[lot_codes]
