"""What a pod itself says about its machine, by annotations: ``stratos.sh/instance-…``, or ``node.elotl.co/instance-…``.

Both forms mean the same and hold together; what they say narrows what the pod's template allows. Whether the pod may
be evicted is said by annotations, too, in the words of several projects.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from stratos.apis import labels
from stratos.apis.pod import Pod
from stratos.base.errors import FieldProblem, Invalid
from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.planning.provisioning.traits import is_gpu_named

OURS = "stratos.sh/instance-"
LUNAS = "node.elotl.co/instance-"
_FARGATE = "fargate"  # understood; no machine is sold under these terms

_NOT_TO_EVICT = (
    (labels.DO_NOT_EVICT, "true"),
    (labels.LUNA_DO_NOT_EVICT, "true"),
    (labels.DO_NOT_DISRUPT, "true"),
    (labels.REMOVAL_DISABLED, "true"),
    (labels.SAFE_TO_EVICT, "false"),
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """One model of all the annotations. Each of several lists, expressions or sets must be satisfied."""

    families: frozenset[str] | None = None  # only these
    not_families: frozenset[str] = frozenset()
    type_regexps: tuple[str, ...] = ()
    gpu_skus: tuple[tuple[str, ...], ...] = ()  # of each list any
    max_gpus: int | None = None
    max_cost_usd_per_hour: float | None = None
    terms: frozenset[str] | None = None  # on-demand, spot, fargate

    def refuses(self, instance_type: InstanceType) -> str:
        """The annotation that rules the type out, by its short name. Empty when none does."""
        if self.families is not None and instance_type.family not in self.families:
            return ANNOTATION_OF["families"]
        if instance_type.family in self.not_families:
            return ANNOTATION_OF["not_families"]
        if not all(compile_regexp(pattern).search(instance_type.name) for pattern in self.type_regexps):
            return ANNOTATION_OF["type_regexps"]
        gpu = instance_type.gpu
        for skus in self.gpu_skus:
            if gpu is None or not any(is_gpu_named(gpu, sku) for sku in skus):
                return ANNOTATION_OF["gpu_skus"]
        if self.max_gpus is not None and gpu is not None and gpu.count > self.max_gpus:
            return ANNOTATION_OF["max_gpus"]
        return ""

    def refuses_offer(self, capacity_type: CapacityType, price_usd_per_hour: float) -> str:
        if self.terms is not None and capacity_type not in self.terms:
            return ANNOTATION_OF["terms"]
        if self.max_cost_usd_per_hour is not None and micro_usd(price_usd_per_hour) > micro_usd(
            self.max_cost_usd_per_hour
        ):
            return ANNOTATION_OF["max_cost_usd_per_hour"]
        return ""


NO_WISHES = Wishes()

ANNOTATION_OF: Mapping[str, str] = {
    field: name.removeprefix("stratos.sh/")
    for field, name in (
        ("families", labels.INSTANCE_FAMILY_INCLUSIONS),
        ("not_families", labels.INSTANCE_FAMILY_EXCLUSIONS),
        ("type_regexps", labels.INSTANCE_TYPE_REGEXP),
        ("gpu_skus", labels.INSTANCE_GPU_SKUS),
        ("max_gpus", labels.INSTANCE_MAX_GPUS),
        ("max_cost_usd_per_hour", labels.INSTANCE_MAX_COST),
        ("terms", labels.INSTANCE_OFFERINGS),
    )
}
"""By what each field of `Wishes` is stated, without the prefix."""


def wishes_of(pod: Pod) -> Wishes:
    """Raises `Invalid` naming the annotation when its value, or the annotation itself, has no meaning."""
    stated = [name for name in sorted(pod.metadata.annotations) if name.startswith((OURS, LUNAS))]
    if not stated:
        return NO_WISHES
    return _read(tuple((name, pod.metadata.annotations[name]) for name in stated))


def micro_usd(price_usd: float) -> int:
    """The price as precisely as labels can tell it."""
    return round(price_usd * 1_000_000)


def is_ignored(pod: Pod) -> bool:
    """Whether the pod asks to be left alone, whatever else it carries."""
    return any(pod.metadata.annotations.get(name) == "true" for name in (labels.IGNORE, labels.LUNA_IGNORE))


def keeps_from_evicting(annotations: Mapping[str, str]) -> str:
    """The annotation by which a pod says that it is not to be evicted. Empty when it says nothing of the kind."""
    return next((name for name, value in _NOT_TO_EVICT if annotations.get(name) == value), "")


@lru_cache(maxsize=1024)
def compile_regexp(pattern: str) -> re.Pattern[str]:
    """A regular expression over type names, searched for anywhere in them.

    A ``*`` that repeats nothing but a beginning (``^*.xlarge$``) is dropped, as the engine that such patterns were
    written for does. Raises `Invalid`.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        try:
            return re.compile(re.sub(r"(^|[(|])\^?\*", r"\1", pattern))
        except re.error:
            raise Invalid(
                f"{pattern!r} is no regular expression: {error}",
                hint="write one such as ^m6a\\.(large|xlarge)$; it is searched for anywhere in the name",
            ) from error


@lru_cache(maxsize=4096)
def _read(stated: tuple[tuple[str, str], ...]) -> Wishes:
    families: frozenset[str] | None = None
    not_families: set[str] = set()
    regexps: list[str] = []
    skus: list[tuple[str, ...]] = []
    gpus: list[int] = []
    costs: list[float] = []
    terms: frozenset[str] | None = None
    for name, value in stated:
        match name.removeprefix(OURS).removeprefix(LUNAS):
            case "family-inclusions":
                listed = frozenset(_names(name, value))
                families = listed if families is None else families & listed
            case "family-exclusions":
                not_families.update(_names(name, value))
            case "type-regexp":
                regexps.append(_regexp(name, value))
            case "gpu-skus":
                skus.append(_names(name, value))
            case "max-gpus":
                gpus.append(_gpus(name, value))
            case "max-cost":
                costs.append(_cost(name, value))
            case "offerings":
                asked = frozenset(_terms(name, value))
                terms = asked if terms is None else terms & asked
            case unknown:
                raise _invalid(
                    name,
                    f"there is no annotation instance-{unknown}",
                    f"known are {', '.join(ANNOTATION_OF.values())}",
                )
    return Wishes(
        families=families,
        not_families=frozenset(not_families),
        type_regexps=tuple(regexps),
        gpu_skus=tuple(skus),
        max_gpus=min(gpus, default=None),
        max_cost_usd_per_hour=min(costs, default=None),
        terms=terms,
    )


def _names(annotation: str, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names:
        raise _invalid(annotation, "it lists nothing", "write names separated by commas, or leave the annotation out")
    return names


def _regexp(annotation: str, value: str) -> str:
    try:
        compile_regexp(value)
    except Invalid as error:
        raise _invalid(annotation, error.message, error.hint) from error
    return value


def _gpus(annotation: str, value: str) -> int:
    if not value.strip().isdecimal():
        raise _invalid(annotation, f"{value!r} is not a number of GPUs", 'write a whole number, such as "2"')
    return int(value)


def _cost(annotation: str, value: str) -> float:
    try:
        cost = float(value)
    except ValueError:
        cost = math.nan
    if not 0 <= cost < math.inf:
        raise _invalid(annotation, f"{value!r} is not a price", 'write US dollars per hour, such as "4.75"')
    return cost


def _terms(annotation: str, value: str) -> Iterable[str]:
    known = (*CapacityType, _FARGATE)
    for name in _names(annotation, value):
        if name not in known:
            raise _invalid(annotation, f"{name!r} is not an offering", f"known are {', '.join(known)}")
        yield name


def _invalid(annotation: str, message: str, hint: str | None) -> Invalid:
    field = f"metadata.annotations[{annotation}]"
    return Invalid(f"{field}: {message}", problems=(FieldProblem(field, "FieldValueInvalid", message),), hint=hint)
