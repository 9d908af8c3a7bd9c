"""What makes a Job unacceptable.

Follows pkg/apis/batch/validation/validation.go: ValidateJob, validateGeneratedSelector,
validateJobSpec, in the order of its checks.
"""

from __future__ import annotations

import re

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Job, JobSpec
from kubatch.registry.kinds.job.defaults import (
    CONTROLLER_UID,
    JOB_NAME,
    LEGACY_CONTROLLER_UID,
    LEGACY_JOB_NAME,
)
from kubatch.registry.kinds.job.policies import (
    failure_policy,
    replacement_policy,
    shown_success_policy,
    success_policy,
)
from kubatch.registry.kinds.podspec.validation import validate_template
from kubatch.registry.kinds.rules import (
    non_negative,
    selector_causes,
    selects,
    shown_selector,
)
from kubatch.registry.metadata import (
    byte_length,
    dns_label_errors,
    dns_subdomain_errors,
    regex_sentence,
)

INDEXED_PARALLELISM_MAX = 100_000
FAILED_INDEXES_MAX = 100_000
COMPLETIONS_SOFT_MAX = 100_000
HIGH_COMPLETIONS_LIMIT = 10_000  # of parallelism and maxFailedIndexes, above the soft maximum
MANAGED_BY_BYTES_MAX = 63
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_is_http_path = re.compile(_HTTP_PATH).fullmatch
_JOB_RESTART_POLICIES = ("OnFailure", "Never")
_NUMBERS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)


def validate_job(job: Job, *, prefixed_labels: bool = True) -> list[Cause]:
    """Everything wrong with a Job. Very old Jobs have no labels with a prefix."""
    out: list[Cause] = []
    assert job.metadata is not None
    spec = job.spec
    if spec is None:
        out.append(fields.required("spec.template.spec.containers"))
        return out
    _generated_selector(job, spec, prefixed_labels, out)
    validate_selected_spec(spec, out)
    if spec.completionMode == "Indexed" and spec.completions:
        # The controller names the pods' hosts so (pkg/controller/job: podGenerateNameWithIndex).
        host = f"{job.metadata.name}-{spec.completions - 1}"
        if spec.completions > 0 and dns_label_errors(host):
            why = f"will not able to create pod with invalid DNS label: {host}"
            out.append(fields.invalid("metadata.name", job.metadata.name or "", why))
    return out


def _generated_selector(job: Job, spec: JobSpec, prefixed: bool, out: list[Cause]) -> None:
    if spec.manualSelector or spec.selector is None:
        return
    assert job.metadata is not None
    uid, name = job.metadata.uid or "", job.metadata.name or ""
    if not uid:
        out.append(fields.required("metadata.uid"))
    expected = {LEGACY_CONTROLLER_UID: uid, LEGACY_JOB_NAME: name}
    if prefixed:
        expected |= {CONTROLLER_UID: uid, JOB_NAME: name}
    labels = (spec.template.metadata and spec.template.metadata.labels) or {}
    for key, value in expected.items():
        path = f"spec.template.metadata.labels[{key}]"
        if key not in labels:
            out.append(fields.required(path, f"must be '{value}'"))
        elif labels[key] != value:
            out.append(fields.invalid(path, labels, f"must be '{value}'"))
    if not selects(spec.selector, expected):
        why = "`selector` not auto-generated"
        out.append(fields.invalid("spec.selector", shown_selector(spec.selector), why))


def validate_selected_spec(spec: JobSpec, out: list[Cause]) -> None:
    """A Job's spec and the selector that belongs to it (ValidateJobSpec)."""
    validate_job_spec(spec, "spec", out)
    meta = spec.template.metadata
    labels = meta.labels if meta is not None else None
    if spec.selector is None:
        out.append(fields.required("spec.selector"))
    else:
        out += selector_causes(spec.selector, "spec.selector")
    if not selects(spec.selector, labels or {}):
        why = "`selector` does not match template `labels`"
        path = "spec.template.metadata.labels"
        out.append(fields.invalid(path, labels or None, why))


def validate_job_spec(spec: JobSpec, path: str, out: list[Cause]) -> None:
    """Everything wrong with a spec, of a Job or in a CronJob, but for its selector."""
    for name in _NUMBERS:
        non_negative(getattr(spec, name), f"{path}.{name}", out)
    if spec.maxFailedIndexes is not None and spec.backoffLimitPerIndex is None:
        why = "when maxFailedIndexes is specified"
        out.append(fields.required(f"{path}.backoffLimitPerIndex", why))
    if spec.managedBy is not None:
        _managed_by(spec.managedBy, f"{path}.managedBy", out)
    mode = spec.completionMode
    if mode not in (None, "NonIndexed", "Indexed"):
        choices = ["NonIndexed", "Indexed"]
        out.append(fields.not_supported(f"{path}.completionMode", mode, choices))
    if mode == "Indexed":
        _indexed(spec, path, out)
    if mode in (None, "NonIndexed"):
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            value = getattr(spec, name)
            if value is not None:
                why = "requires indexed completion mode"
                out.append(fields.invalid(f"{path}.{name}", value, why))
    if spec.podFailurePolicy is not None:
        failure_policy(spec, f"{path}.podFailurePolicy", out)
    if spec.successPolicy is not None:
        if mode == "Indexed":
            success_policy(spec, f"{path}.successPolicy", out)
        else:
            shown = shown_success_policy(spec.successPolicy)
            why = "requires indexed completion mode"
            out.append(fields.invalid(f"{path}.successPolicy", shown, why))
    replacement_policy(spec, f"{path}.podReplacementPolicy", out)
    validate_template(spec.template, f"{path}.template", out)
    _restart_policy(spec, f"{path}.template.spec.restartPolicy", out)


def _managed_by(value: str, path: str, out: list[Cause]) -> None:
    """A domain-prefixed path (IsDomainPrefixedPath)."""
    host, slash, rest = value.partition("/")
    if not value:
        out.append(fields.required(path))
    elif not slash or not host or not rest:
        why = 'must be a domain-prefixed path (such as "acme.io/foo")'
        out.append(fields.invalid(path, value, why))
    else:
        out.extend(fields.invalid(path, host, why) for why in dns_subdomain_errors(host))
        if not _is_http_path(rest):
            out.append(fields.invalid(path, rest, regex_sentence("Invalid path", _HTTP_PATH)))
    if byte_length(value) > MANAGED_BY_BYTES_MAX:
        out.append(fields.too_long(path, MANAGED_BY_BYTES_MAX))


def _indexed(spec: JobSpec, path: str, out: list[Cause]) -> None:
    parallelism, completions, failed = spec.parallelism, spec.completions, spec.maxFailedIndexes
    if completions is None:
        out.append(fields.required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > INDEXED_PARALLELISM_MAX:
        why = (
            f"must be less than or equal to {INDEXED_PARALLELISM_MAX} when completion mode is "
            "Indexed"
        )
        out.append(fields.invalid(f"{path}.parallelism", parallelism, why))
    where = f"{path}.maxFailedIndexes"
    if completions is not None and failed is not None and failed > completions:
        out.append(fields.invalid(where, failed, "must be less than or equal to completions"))
    if failed is not None and failed > FAILED_INDEXES_MAX:
        why = f"must be less than or equal to {FAILED_INDEXES_MAX}"
        out.append(fields.invalid(where, failed, why))
    if (
        completions is None
        or completions <= COMPLETIONS_SOFT_MAX
        or spec.backoffLimitPerIndex is None
    ):
        return
    if failed is None:
        why = f"must be specified when completions is above {COMPLETIONS_SOFT_MAX}"
        out.append(fields.required(where, why))
    why = (
        f"must be less than or equal to {HIGH_COMPLETIONS_LIMIT} when completions are above "
        f"{COMPLETIONS_SOFT_MAX} and used with backoff limit per index"
    )
    if parallelism is not None and parallelism > HIGH_COMPLETIONS_LIMIT:
        out.append(fields.invalid(f"{path}.parallelism", parallelism, why))
    if failed is not None and failed > HIGH_COMPLETIONS_LIMIT:
        out.append(fields.invalid(where, failed, why))


def _restart_policy(spec: JobSpec, path: str, out: list[Cause]) -> None:
    value = spec.template.spec.restartPolicy if spec.template.spec is not None else None
    if value in (None, "", "Always"):
        out.append(fields.required(path, 'valid values: "OnFailure", "Never"'))
    elif value not in _JOB_RESTART_POLICIES:
        out.append(fields.not_supported(path, value, _JOB_RESTART_POLICIES))
    elif spec.podFailurePolicy is not None and value != "Never":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        out.append(fields.invalid(path, value, why))
