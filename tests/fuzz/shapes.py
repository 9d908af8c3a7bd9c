"""Strategies: JSON of any shape, objects that are nearly right, paths and queries nearly right."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests.conformance.rows import cron_job, job, pod, replica_set

WORDS = (
    "metadata", "name", "namespace", "labels", "annotations", "finalizers", "ownerReferences",
    "resourceVersion", "uid", "generateName", "managedFields", "creationTimestamp", "spec",
    "status", "template", "containers", "image", "resources", "limits", "cpu", "ports", "env",
    "command", "volumes", "parallelism", "completions", "selector", "matchLabels", "data", "kind",
    "apiVersion", "schedule", "suspend", "conditions", "type", "replicas", "$patch",
    "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "$retainKeys",
)  # fmt: skip
VALUES = ("", "x", "1", "0", "-1", "x.io/a", "Never", "replace", "delete", "2026-01-01T00:00:00Z")

texts = st.sampled_from(VALUES) | st.text(max_size=12)
numbers = (
    st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.just(0)
)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)

OBJECTS: dict[str, dict[str, Any]] = {
    "/apis/batch/v1/namespaces/default/jobs": job("x"),
    "/apis/batch/v1/namespaces/default/cronjobs": cron_job("x"),
    "/api/v1/namespaces/default/pods": pod("x"),
    "/api/v1/namespaces/default/configmaps": {"metadata": {"name": "x"}, "data": {"a": "1"}},
    "/api/v1/namespaces/default/secrets": {"metadata": {"name": "x"}, "data": {"a": "MQ=="}},
    "/api/v1/namespaces/default/services": {
        "metadata": {"name": "x"},
        "spec": {"ports": [{"port": 80}]},
    },
    "/apis/apps/v1/namespaces/default/replicasets": replica_set("x"),
    "/apis/coordination.k8s.io/v1/namespaces/default/leases": {"metadata": {"name": "x"}},
    "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles": {
        "metadata": {"name": "x"},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
    },
    "/api/v1/namespaces/default/events": {
        "metadata": {"name": "x"},
        "involvedObject": {"namespace": "default"},
    },
    "/apis/policy/v1/namespaces/default/poddisruptionbudgets": {
        "metadata": {"name": "x"},
        "spec": {"minAvailable": 1},
    },
    "/api/v1/namespaces/default/resourcequotas": {
        "metadata": {"name": "x"},
        "spec": {"hard": {"pods": "9"}},
    },
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": {
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}
    },
}


@st.composite
def damaged(draw: st.DrawFn, value: Any) -> Any:
    """A value with one place in it replaced, or something added."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: draw(damaged(value[name]))}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(damaged(value[at])), *value[at + 1 :]]
    if isinstance(value, dict) and draw(st.booleans()):
        return {**value, draw(st.sampled_from(WORDS)): draw(values)}
    return draw(values)


@st.composite
def writes(draw: st.DrawFn) -> tuple[str, Any]:
    """A collection, and something like an object of it."""
    path = draw(st.sampled_from(sorted(OBJECTS)))
    return path, draw(damaged(OBJECTS[path]))


_PARTS = (
    "api", "apis", "v1", "batch", "apps", "namespaces", "default", "jobs", "pods", "configmaps",
    "x", "status", "scale", "log", "exec", "watch", "events", "nodes", "openapi", "v3", "version",
    "metrics", "..", ".", "%00", "%2e%2e", "%ff", "%2F", "kubatch.dev", "explain", "healthz",
)  # fmt: skip
_OPTIONS = (
    "limit", "continue", "resourceVersion", "resourceVersionMatch", "labelSelector",
    "fieldSelector", "timeoutSeconds", "allowWatchBookmarks", "sendInitialEvents", "dryRun",
    "fieldManager", "fieldValidation", "force", "pretty", "includeObject", "gracePeriodSeconds",
    "propagationPolicy", "orphanDependents", "container", "tailLines", "sinceTime", "command",
    "follow", "hash", "verbose", "exclude", "stdout",
)  # fmt: skip
_ANSWERS = ("", "1", "0", "-1", "true", "All", "abc", "9" * 25, "a in (b", "Exact", "²", "x=y")


@st.composite
def targets(draw: st.DrawFn) -> str:
    """A path and a query."""
    parts = draw(st.lists(st.sampled_from(_PARTS) | st.text(max_size=5).map(quote), max_size=8))
    options = st.tuples(st.sampled_from(_OPTIONS), st.sampled_from(_ANSWERS) | st.text(max_size=8))
    # A watch has no end by itself.
    pairs = [f"{name}={quote(value)}" for name, value in draw(st.lists(options, max_size=4))]
    start = draw(
        st.sampled_from(
            ("", "/api/v1", "/apis/batch/v1/namespaces/default", "/api/v1/namespaces/default")
        )
    )
    return f"{start}/{'/'.join(parts)}" + (f"?{'&'.join(pairs)}" if pairs else "")
