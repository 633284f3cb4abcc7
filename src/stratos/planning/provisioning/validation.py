"""What cannot be right in a template, found before it is used. The schema checks each field, this what they come to."""

from __future__ import annotations

from collections.abc import Iterator

from stratos.apis.nodetemplate import NodeTemplate, NodeTemplateSpec
from stratos.base.errors import FieldProblem, Invalid
from stratos.base.quantity import parse_quantity
from stratos.planning.provisioning.annotations import compile_regexp


def check_template(template: NodeTemplate) -> None:
    """Raise `Invalid` with everything that is wrong with ``template``."""
    problems = problems_of(template.spec)
    if problems:
        raise Invalid(
            f"NodeTemplate {template.metadata.name} cannot be used: {problems[0].field}: {problems[0].message}",
            problems=problems,
            looked_at=tuple(f"{problem.field}: {problem.message}" for problem in problems[1:]),
            hint="correct the fields named; machines that run are left as they are",
        )


def problems_of(spec: NodeTemplateSpec) -> tuple[FieldProblem, ...]:
    return (*_regexps(spec), *_quantities(spec), *_contradictions(spec), *_expressions(spec))


def _problem(field: str, message: str) -> FieldProblem:
    return FieldProblem(f"spec.{field}", "FieldValueInvalid", message)


def _refused(field: str, error: Invalid) -> FieldProblem:
    """With the hint: who writes a template sees no more of it than this."""
    return _problem(field, f"{error.message}; {error.hint}")


def _regexps(spec: NodeTemplateSpec) -> Iterator[FieldProblem]:
    stated = {
        "constraints.instanceTypeRegexp": spec.constraints.instance_type_regexp,
        "binPacking.nodeTypeRegexp": spec.bin_packing.node_type_regexp,
        "pods.pendingReasonRegexp": spec.pods.pending_reason_regexp,
    }
    for field, pattern in stated.items():
        try:
            compile_regexp(pattern)
        except Invalid as error:
            yield _refused(field, error)


def _quantities(spec: NodeTemplateSpec) -> Iterator[FieldProblem]:
    stated = {
        "binPacking.nodeCpu": spec.bin_packing.node_cpu,
        "binPacking.nodeMemory": spec.bin_packing.node_memory,
        "binSelection.podCpuThreshold": spec.bin_selection.pod_cpu_threshold,
        "binSelection.podMemoryThreshold": spec.bin_selection.pod_memory_threshold,
        "limits.cpu": spec.limits.cpu,
        "limits.memory": spec.limits.memory,
    }
    for field, quantity in stated.items():
        if quantity is None:
            continue
        try:
            if parse_quantity(quantity) < 0:
                yield _problem(field, f"{quantity!r} is less than nothing")
        except Invalid as error:
            yield _refused(field, error)


def _contradictions(spec: NodeTemplateSpec) -> Iterator[FieldProblem]:
    constraints = spec.constraints
    pairs = (
        ("constraints.minCpu", constraints.min_cpu, constraints.max_cpu, "maxCpu"),
        ("constraints.minMemory", constraints.min_memory, constraints.max_memory, "maxMemory"),
        ("constraints.gpu.minCount", constraints.gpu.min_count, constraints.gpu.max_count, "gpu.maxCount"),
    )
    for field, least, most, other in pairs:
        if least is not None and most is not None and least > most:
            yield _problem(field, f"{least} is more than {other}, {most}: no machine is both")
    if not constraints.spot and not constraints.allows_on_demand:
        yield _problem("constraints.onDemand", "neither spot nor on-demand is allowed: no machine is anything else")
    if constraints.is_gpu_only and constraints.gpu.max_count == 0:
        yield _problem("constraints.gpu.maxCount", "isGpuOnly asks for GPUs, this for none")
    families = constraints.instance_families
    both = sorted(set(families.include) & set(families.exclude))
    if families.include and len(both) == len(set(families.include)):
        yield _problem("constraints.instanceFamilies", f"every family included is excluded, too: {', '.join(both)}")
    if spec.custom_taints and not spec.should_taint:
        yield _problem("customTaints", "they are put on nodes only with shouldTaint")
    if spec.is_default and spec.pods.annotations:
        yield _problem("pods.annotations", "the default template takes every pod that selects no other")


def _expressions(spec: NodeTemplateSpec) -> Iterator[FieldProblem]:
    for number, group in enumerate(spec.constraints.dedicated_node_affinity):
        for place, expression in enumerate(group.affinity):
            field = f"constraints.dedicatedNodeAffinity[{number}].affinity[{place}].values"
            values = expression.values
            match expression.operator:
                case "In" | "NotIn" if not values:
                    yield _problem(field, f"{expression.operator} needs at least one value")
                case "Exists" | "DoesNotExist" if values:
                    yield _problem(field, f"{expression.operator} takes no values")
                case "Gt" | "Lt" if len(values) != 1 or not values[0].lstrip("-").isdigit():
                    yield _problem(field, f"{expression.operator} needs one integer")
                case _:
                    pass
