"""Jobs and CronJobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from stratos.apiserver.registry.builtin.columns import (
    AGE,
    NAME,
    NONE,
    age,
    column,
    seconds_since,
    template_columns,
)
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    immutable,
    integer,
    invalid,
    mapping,
    mappings,
    not_negative,
    not_supported,
    one_of,
    required,
    text,
)
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.builtin.pod_defaults import default_pod_template, fill
from stratos.apiserver.registry.builtin.pod_validation import validate_pod_template
from stratos.apiserver.registry.resource import Column, Obj
from stratos.base.duration import human_duration

_NAME_LENGTH_MAX = 52  # a CronJob's jobs get eleven letters more

_UID_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid")
_NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")


def _default_job(job: Obj) -> None:
    spec = mapping(job, "spec")
    if not spec:
        return
    if spec.get("completions") is None and spec.get("parallelism") is None:
        fill(spec, completions=1)
    retries_max = 2**31 - 1 if spec.get("backoffLimitPerIndex") is not None else 6
    fill(
        spec, parallelism=1, backoffLimit=retries_max, completionMode="NonIndexed", suspend=False, manualSelector=False
    )
    fill(spec, podReplacementPolicy="Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    _select_own_pods(job, spec)
    default_pod_template(spec)


def _select_own_pods(job: Obj, spec: Obj) -> None:
    """A job finds its pods by its own uid, unless the manifest insists on a selector."""
    uid, name = text(job, "metadata", "uid"), text(job, "metadata", "name")
    template = spec.get("template")
    if spec.get("manualSelector") is True or spec.get("selector") is not None or not uid:
        return
    if isinstance(template, dict):
        metadata = template.get("metadata")
        if not isinstance(metadata, dict):
            metadata = template["metadata"] = {}
        fill(metadata, labels={})
        mapping(metadata, "labels").update(dict.fromkeys(_UID_LABELS, uid) | dict.fromkeys(_NAME_LABELS, name))
    spec["selector"] = {"matchLabels": {_UID_LABELS[0]: uid}}


def _validate_job(job: Obj) -> Problems:
    yield from _validate_job_spec(mapping(job, "spec"), "spec")
    if mapping(job, "spec").get("selector") is None:
        yield required("spec.selector")


def _validate_job_spec(spec: dict[str, Any], field: str) -> Problems:
    for count in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "maxFailedIndexes",
        "backoffLimitPerIndex",
    ):
        yield from not_negative(f"{field}.{count}", spec.get(count))
    mode = spec.get("completionMode")
    yield from one_of(f"{field}.completionMode", mode, ("NonIndexed", "Indexed"))
    if mode == "Indexed" and spec.get("completions") is None:
        yield required(f"{field}.completions", "when completion mode is Indexed")
    if spec.get("backoffLimitPerIndex") is not None and mode != "Indexed":
        yield invalid(f"{field}.backoffLimitPerIndex", spec["backoffLimitPerIndex"], "requires indexed completion mode")
    yield from one_of(
        f"{field}.podReplacementPolicy", spec.get("podReplacementPolicy"), ("Failed", "TerminatingOrFailed")
    )
    template = mapping(spec, "template")
    yield from validate_pod_template(template, f"{field}.template")
    policy = mapping(template, "spec").get("restartPolicy")
    if policy in (None, "", "Always"):
        yield required(f"{field}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield not_supported(f"{field}.template.spec.restartPolicy", policy, ("OnFailure", "Never"))
    if spec.get("podFailurePolicy") and policy != "Never":
        yield invalid(
            f"{field}.template.spec.restartPolicy",
            policy,
            'only "Never" is supported when podFailurePolicy is specified',
        )


def _validate_job_change(new: Obj, old: Obj) -> Problems:
    spec, before = mapping(new, "spec"), mapping(old, "spec")
    for name in ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy"):
        yield from immutable(f"spec.{name}", spec.get(name), before.get(name))
    if spec.get("completions") != before.get("completions"):
        # An indexed job may grow or shrink as a whole: completions follow parallelism.
        elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
        if not elastic:
            yield from immutable("spec.completions", spec.get("completions"), before.get("completions"))
    template, template_before = mapping(spec, "template"), mapping(before, "template")
    if before.get("suspend") is True and not mapping(old, "status").get("startTime"):
        template, template_before = _without_placement(template), _without_placement(template_before)
    yield from immutable("spec.template", template, template_before)


def _without_placement(template: dict[str, Any]) -> dict[str, Any]:
    """A suspended job's template, less what may still change: where its pods go and what they are called."""
    placement = ("nodeSelector", "tolerations", "affinity", "schedulingGates")
    spec = {key: value for key, value in mapping(template, "spec").items() if key not in placement}
    metadata = {k: v for k, v in mapping(template, "metadata").items() if k not in ("labels", "annotations")}
    return {**template, "spec": spec, "metadata": metadata}


def _default_cron_job(cron_job: Obj) -> None:
    spec = mapping(cron_job, "spec")
    if spec:
        fill(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
        default_pod_template(mapping(spec, "jobTemplate", "spec"))


def _validate_cron_job(cron_job: Obj) -> Problems:
    spec = mapping(cron_job, "spec")
    if len(text(cron_job, "metadata", "name")) > _NAME_LENGTH_MAX:
        yield invalid("metadata.name", text(cron_job, "metadata", "name"), "must be no more than 52 characters")
    yield from _validate_schedule(spec.get("schedule"))
    if (zone := spec.get("timeZone")) is not None:
        yield from _validate_time_zone(zone)
    yield from one_of(
        "spec.concurrencyPolicy", spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace"), needed=True
    )
    for count in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        yield from not_negative(f"spec.{count}", spec.get(count))
    job = mapping(spec, "jobTemplate", "spec")
    if job.get("selector") is not None:
        yield invalid("spec.jobTemplate.spec.selector", job["selector"], "`selector` will be auto-generated")
    yield from _validate_job_spec(job, "spec.jobTemplate.spec")


_MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


def _validate_schedule(schedule: object) -> Problems:
    if not isinstance(schedule, str) or not schedule:
        yield required("spec.schedule")
        return
    if "TZ" in schedule:
        yield invalid("spec.schedule", schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
        return
    if schedule in _MACROS or schedule.startswith("@every "):
        return
    try:
        CronSim(schedule, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        yield invalid("spec.schedule", schedule, f"not a cron expression: {error}")


def _validate_time_zone(zone: object) -> Problems:
    if not zone:
        yield invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string")
    elif str(zone).lower() == "local":
        yield invalid(
            "spec.timeZone",
            zone,
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        )
    else:
        try:
            ZoneInfo(str(zone))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield invalid("spec.timeZone", zone, f"unknown time zone {zone}")


# Columns


def _job_state(job: Obj) -> str:
    conditions = {text(c, "type") for c in mappings(job, "status", "conditions") if c.get("status") == "True"}
    for condition in ("Complete", "Failed"):
        if condition in conditions:
            return condition
    if mapping(job, "metadata").get("deletionTimestamp"):
        return "Terminating"
    for condition in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if condition in conditions:
            return condition
    return "Running"


def _completions(job: Obj) -> str:
    done, wanted = integer(job, "status", "succeeded") or 0, integer(job, "spec", "completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    at_once = integer(job, "spec", "parallelism") or 0
    return f"{done}/1 of {at_once}" if at_once > 1 else f"{done}/1"


def _duration(job: Obj, now: datetime) -> str:
    start, end = text(job, "status", "startTime"), text(job, "status", "completionTime")
    if not start:
        return ""
    until = datetime.fromisoformat(end) if end else now
    return human_duration(seconds_since(start, until))


def _last_schedule(cron_job: Obj, now: datetime) -> str:
    last = text(cron_job, "status", "lastScheduleTime")
    return age(last, now) if last else NONE


RESOURCES = (
    kind(
        "batch/v1",
        "Job",
        categories=("all",),
        subresources=("status",),
        columns=(
            NAME,
            column("Status", _job_state),
            column("Completions", _completions),
            Column("Duration", _duration),
            AGE,
            *template_columns("spec", "template"),
        ),
        selectable_as={"status.successful": "status.succeeded"},
        default=_default_job,
        validate=_validate_job,
        validate_update=_validate_job_change,
    ),
    kind(
        "batch/v1",
        "CronJob",
        short_names=("cj",),
        categories=("all",),
        subresources=("status",),
        columns=(
            NAME,
            column("Schedule", lambda c: text(c, "spec", "schedule")),
            column("Timezone", lambda c: text(c, "spec", "timeZone") or NONE),
            column("Suspend", lambda c: str(mapping(c, "spec").get("suspend", "<unset>"))),
            column("Active", lambda c: len(mappings(c, "status", "active")), type="integer"),
            Column("Last Schedule", _last_schedule),
            AGE,
            *template_columns("spec", "jobTemplate", "spec", "template"),
        ),
        default=_default_cron_job,
        validate=_validate_cron_job,
    ),
)
