"""What machine a node is, written on it as labels, and what pods' annotations ask of these labels.

A scheduler reads no annotations: it puts a pod wherever there is room. So the webhook says the same once more as node
affinity, and `asked_of_nodes` is what it says. Whether a node satisfies that or its type satisfies the wishes comes to
the same, with two things to know:

- The price is the one that the machine was chosen for. Who runs below a cap is not driven out when prices move.
- No label can say what a regular expression matches, so the types are listed that match now. One that is published
  later is not used for pods that are there already; a list of what does not match would let them onto one that does
  not. Families, GPUs and prices need no list, and newly published types are used by whoever waits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from stratos.apis import labels
from stratos.apis.pod import SelectorRequirement
from stratos.base.selectors import LabelSelector, Operator, Requirement
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import InstanceType
from stratos.planning.provisioning.annotations import Wishes, compile_regexp, micro_usd
from stratos.planning.provisioning.traits import is_gpu_named
from stratos.planning.scheduling.requirements import PodRequirements

MACHINE_LABELS = (labels.INSTANCE_FAMILY, labels.CATALOG_TYPE, labels.GPU_SKU, labels.GPU_COUNT, labels.PRICE)

_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST = 63  # characters of a label's value


def labels_of_type(type_: InstanceType) -> dict[str, str]:
    """All `MACHINE_LABELS` but the price."""
    found = {
        labels.INSTANCE_FAMILY: _label_value(type_.family),
        labels.CATALOG_TYPE: _label_value(type_.name),
        labels.GPU_COUNT: str(math.ceil(type_.gpu.count) if type_.gpu is not None else 0),
    }
    if type_.gpu is not None:
        found[labels.GPU_SKU] = _sku_value(type_.gpu.sku)
    return found


def asked_of_nodes(wishes: Wishes, catalog: Catalog) -> tuple[SelectorRequirement, ...]:
    """What a node has to bear so that it is what the pod wishes for: all of it."""
    return tuple(_asked(wishes, catalog))


def _asked(wishes: Wishes, catalog: Catalog) -> Iterator[SelectorRequirement]:
    if wishes.families is not None:
        yield from _one_of(labels.INSTANCE_FAMILY, map(_label_value, wishes.families))
    if wishes.not_families:
        # A node that does not tell its family may be of any.
        yield SelectorRequirement(labels.INSTANCE_FAMILY, Operator.EXISTS)
        excluded = sorted(map(_label_value, wishes.not_families))
        yield SelectorRequirement(labels.INSTANCE_FAMILY, Operator.NOT_IN, tuple(excluded))
    if wishes.type_regexps:
        patterns = [compile_regexp(each) for each in wishes.type_regexps]
        matching = (name for name in catalog.instance_types if all(each.search(name) for each in patterns))
        yield from _one_of(labels.CATALOG_TYPE, map(_label_value, matching))
    for skus in wishes.gpu_skus:
        yield from _one_of(labels.GPU_SKU, _skus_named(skus, catalog))
    if wishes.max_gpus is not None:
        yield _below(labels.GPU_COUNT, wishes.max_gpus + 1)
    if wishes.max_cost_usd_per_hour is not None:
        yield _below(labels.PRICE, micro_usd(wishes.max_cost_usd_per_hour) + 1)
    if wishes.terms is not None:
        yield from _one_of(labels.CAPACITY_TYPE, wishes.terms)


def without_asked(requirements: PodRequirements, asked: Iterable[SelectorRequirement]) -> PodRequirements:
    """The pod as if nothing of ``asked`` had been added to its node affinity."""
    rules = requirements.node_rules
    dropped = {Requirement(each.key, Operator(each.operator), frozenset(each.values or ())) for each in asked}
    terms = []
    for term in rules.required or ():
        kept = LabelSelector(tuple(each for each in term.labels.requirements if each not in dropped))
        if not kept.requirements and not term.name.requirements and term.labels.requirements:
            return replace(requirements, node_rules=replace(rules, required=None))  # this alternative allows all nodes
        terms.append(replace(term, labels=kept))
    return replace(requirements, node_rules=replace(rules, required=tuple(terms))) if terms else requirements


def _one_of(key: str, values: Iterable[str]) -> Iterator[SelectorRequirement]:
    listed = tuple(sorted(set(values)))
    if listed:
        yield SelectorRequirement(key, Operator.IN, listed)
    else:  # contradictory wishes: an empty list may not be written, so what cannot be is asked for
        yield SelectorRequirement(key, Operator.EXISTS)
        yield SelectorRequirement(key, Operator.DOES_NOT_EXIST)


def _below(key: str, bound: int) -> SelectorRequirement:
    return SelectorRequirement(key, Operator.LT, (str(bound),))


def _skus_named(names: Iterable[str], catalog: Catalog) -> Iterator[str]:
    gpus = {type_.gpu for type_ in catalog.instance_types.values() if type_.gpu is not None}
    for name in names:
        yield _sku_value(name)  # whatever the catalog knows: it may be published tomorrow
        yield from (_sku_value(gpu.sku) for gpu in gpus if is_gpu_named(gpu, name))


def _sku_value(sku: str) -> str:
    return _label_value(sku.strip().casefold())


def _label_value(text: str) -> str:
    return _NOT_IN_LABELS.sub("_", text)[:_LONGEST].strip("_.-")
