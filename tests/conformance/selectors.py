"""Label and field selectors: what they choose and how they are wrong."""

from __future__ import annotations

from urllib.parse import quote

from tests.conformance.rows import (
    EVENTS,
    IN,
    JOBS,
    MAPS,
    PODS,
    SECRETS,
    SERVICES,
    Row,
    config_map,
    get,
    job,
    like,
    patch,
    pod,
    post,
    row,
)

LABELLED = (
    post(MAPS, config_map("one", {"a": "x", "n": "1"})),
    post(MAPS, config_map("two", {"a": "y", "n": "5"})),
    post(MAPS, config_map("bare")),
)
ONLY = 'only "metadata.name", "metadata.namespace"'


def labels(selector: str, *names: str) -> Row:
    items = [{"metadata": {"name": n}} for n in sorted(names)]
    return row(
        f"labels: {selector}",
        *LABELLED,
        get(f"{MAPS}?labelSelector={quote(selector)}", body={"items": items}),
    )


def chosen(path: str, selector: str, *names: str, before: tuple[object, ...] = ()) -> Row:
    items = [{"metadata": {"name": n}} for n in names]
    plural = path.rpartition("/")[2]
    steps = (
        *before,
        get(f"{path}?fieldSelector={quote(selector, safe='{}=')}", body={"items": items}),
    )
    return row(f"{plural} by {selector}", *steps)  # type: ignore[arg-type]


def refused(kind: str, path: str, selector: str, message: str) -> Row:
    return row(
        f"{kind} by {selector}",
        get(f"{path}?fieldSelector={quote(selector)}", 400, message=message, reason="BadRequest"),
    )


PENDING = post(PODS, pod("p", nodeName="n", restartPolicy="Never"))
DONE = (post(PODS, pod("q")), patch(f"{PODS}/q/status", {"status": {"phase": "Succeeded"}}))
EVENT = post(
    EVENTS,
    {
        "metadata": {"name": "e"},
        "involvedObject": {"namespace": "{ns}", "kind": "Pod", "name": "p", "uid": "u"},
        "reason": "R",
        "type": "Warning",
    },
)

ROWS = [
    labels("a=x", "one"),
    labels("a==x", "one"),
    labels("a!=x", "two", "bare"),
    labels("a in (x,y)", "one", "two"),
    labels("a notin (x)", "two", "bare"),
    labels("a", "one", "two"),
    labels("!a", "bare"),
    labels("n>1", "two"),
    labels("n<5", "one"),
    labels("a=x,n=1", "one"),
    labels("a=x,n=5"),
    labels("", "bare", "one", "two"),
    row("labels: an operator is missing", get(f"{MAPS}?labelSelector=a%20foo%20b", 400, message=like(".*found 'foo', expected: in, notin, =, ==, !=, gt, lt"), reason="BadRequest")),
    row("labels: a bad key", get(f"{MAPS}?labelSelector=a%24%3Db", 400, reason="BadRequest")),
    row("labels: a number is no number", get(f"{MAPS}?labelSelector=a%3Ex", 400, reason="BadRequest")),
    row("labels: a number of many digits", get(f"{MAPS}?labelSelector=n%3E{'9' * 5000}", 400, message=like(".*for 'Gt', 'Lt' operators, the value must be an integer.*"))),
    row("labels: unbalanced", get(f"{MAPS}?labelSelector=a%20in%20(x", 400, reason="BadRequest")),
    chosen(MAPS, "metadata.name=one", "one", before=LABELLED),
    chosen(MAPS, "metadata.name==one", "one", before=LABELLED),
    chosen(MAPS, "metadata.name!=one", "bare", "two", before=LABELLED),
    chosen(MAPS, "metadata.name=one,metadata.name=one", "one", before=LABELLED),
    chosen(MAPS, "metadata.name=one,metadata.name=two", before=LABELLED),
    chosen(MAPS, "metadata.namespace=other", before=LABELLED),
    chosen(PODS, "spec.nodeName=n", "p", before=(PENDING, *DONE)),
    chosen(PODS, "spec.nodeName=", "q", before=(PENDING, *DONE)),
    chosen(PODS, "spec.restartPolicy=Never", "p", before=(PENDING, *DONE)),
    chosen(PODS, "spec.schedulerName=default-scheduler", "p", "q", before=(PENDING, *DONE)),
    chosen(PODS, "spec.serviceAccountName=default", "p", "q", before=(PENDING, *DONE)),
    chosen(PODS, "status.phase!=Failed,status.phase!=Succeeded", "p", before=(PENDING, *DONE)),
    chosen(PODS, "status.phase=Succeeded", "q", before=(PENDING, *DONE)),
    chosen(PODS, "spec.hostNetwork=false", "p", "q", before=(PENDING, *DONE)),
    chosen(JOBS, "status.successful=0", "x", before=(post(JOBS, job("x")),)),
    chosen(JOBS, "status.successful=1", before=(post(JOBS, job("x")),)),
    chosen(SECRETS, "type=Opaque", "s", before=(post(SECRETS, {"metadata": {"name": "s"}}),)),
    chosen(SERVICES, "spec.type=ClusterIP", "s", before=(post(SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}),)),
    chosen(EVENTS, "involvedObject.uid=u", "e", before=(EVENT,)),
    chosen(EVENTS, "involvedObject.name=p,involvedObject.kind=Pod,involvedObject.namespace={ns}", "e", before=(EVENT,)),
    chosen(EVENTS, "involvedObject.namespace=", before=(EVENT,)),
    chosen(EVENTS, "type!=Normal", "e", before=(EVENT,)),
    chosen(EVENTS, "reason=R", "e", before=(EVENT,)),
    chosen("/apis/events.k8s.io/v1/namespaces/{ns}/events", "regarding.uid=u", "e", before=(EVENT,)),
    refused("maps", MAPS, "data.a=b", f'"data.a" is not a known field selector: {ONLY}'),
    refused("nodes", "/api/v1/nodes", "spec.foo=b", "field label not supported: spec.foo"),
    refused("pods", PODS, "spec.foo=b", "field label not supported: spec.foo"),
    refused("jobs", JOBS, "status.active=1", 'field label "status.active" not supported for Job'),
    refused("namespaces", "/api/v1/namespaces", "spec.x=1", "field label not supported: spec.x"),
    refused("secrets", SECRETS, "data=1", "field label not supported: data"),
    refused("events", EVENTS, "zz=1", "field label not supported: zz"),
    refused("maps, malformed", MAPS, "foo", "invalid selector: 'foo'; can't understand 'foo'"),
    row("a cluster's kind has no namespace", get("/apis/scheduling.k8s.io/v1/priorityclasses?fieldSelector=metadata.namespace%3Dx", 400, reason="BadRequest")),
    row("a name alone is looked up", *LABELLED, get(f"{MAPS}?fieldSelector=metadata.name%3Done&labelSelector=a%3Dy", body={"items": []})),
    row("both groups' own fields", get(f"{IN}/events?fieldSelector=regarding.uid%3Du", 400, message="field label not supported: regarding.uid")),
]  # fmt: skip
