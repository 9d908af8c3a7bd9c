"""Discovery, version, health, OpenAPI: what a client asks before anything else."""

from __future__ import annotations

from tests.conformance.rows import ABSENT, ANY, Is, get, like, post, row

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
V2BETA1 = V2.replace("v=v2", "v=v2beta1")
OLD_V2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
NOT_FOUND = "404 page not found\n"
NO_SUCH = "the server could not find the requested resource"
IS_V2 = like(r"application/json;.*g=apidiscovery\.k8s\.io.*")


def has(**members: object) -> Is:
    """A list with an element that holds these members."""
    return Is(
        f"a list with {members}",
        lambda found: any(all(e.get(k) == v for k, v in members.items()) for e in found),
    )


VERSION = {"major": "1", "minor": "36", "gitVersion": like(r"v1\.36\.\d+.*"), "platform": ANY}

ROWS = [
    row("version", get("/version", body=VERSION)),
    row("version with a slash", get("/version/", body=VERSION)),
    row("version without a login", get("/version", who="", body=VERSION)),
    *(
        row(f"{path} is well", get(path, who="", text="ok", headers={"Content-Type": like("text/plain.*")}))
        for path in ("/healthz", "/livez", "/readyz", "/livez/ping")
    ),
    row("verbose readiness", get("/readyz?verbose", text=like(r".*\[\+\]ping ok\n.*readyz check passed\n?"))),
    row("an excluded check", get("/readyz?verbose&exclude=ping", text=like(r".*\[\+\]ping excluded: ok\n.*"))),
    row("the core versions", get("/api", body={"kind": "APIVersions", "versions": ["v1"]})),
    row("the core versions with a slash", get("/api/", body={"kind": "APIVersions"})),
    row(
        "the groups",
        get("/apis", body={"kind": "APIGroupList", "groups": has(name="batch")}),
    ),
    row("the groups with a slash", get("/apis/", body={"kind": "APIGroupList"})),
    row(
        "one group",
        get(
            "/apis/batch",
            body={
                "kind": "APIGroup",
                "name": "batch",
                "preferredVersion": {"groupVersion": "batch/v1", "version": "v1"},
            },
        ),
    ),
    row(
        "batch resources",
        get(
            "/apis/batch/v1",
            body={
                "kind": "APIResourceList",
                "groupVersion": "batch/v1",
                "resources": has(name="jobs/status", singularName="", kind="Job"),
            },
        ),
        get("/apis/batch/v1/", body={"resources": has(name="cronjobs", shortNames=["cj"])}),
        get("/apis/batch/v1", body={"resources": has(name="jobs", categories=["all"])}),
    ),
    row(
        "core resources name foreign kinds",
        get(
            "/api/v1",
            body={
                "resources": has(
                    name="pods/eviction", group="policy", version="v1", kind="Eviction"
                )
            },
        ),
        get(
            "/api/v1",
            body={
                "resources": has(
                    name="serviceaccounts/token",
                    group="authentication.k8s.io",
                    version="v1",
                    kind="TokenRequest",
                )
            },
        ),
        get(
            "/apis/apps/v1",
            body={
                "resources": has(
                    name="replicasets/scale", group="autoscaling", version="v1", kind="Scale"
                )
            },
        ),
    ),
    row(
        "aggregated core",
        get(
            "/api",
            send={"Accept": f"{V2},{V2BETA1},application/json"},
            headers={"Content-Type": IS_V2, "Cache-Control": "public", "Etag": ANY, "Vary": "Accept"},
            body={
                "kind": "APIGroupDiscoveryList",
                "apiVersion": "apidiscovery.k8s.io/v2",
                "items": [{"metadata": {"name": ABSENT}, "versions": [{"version": "v1"}]}],
            },
        ),
    ),
    row(
        "aggregated groups",
        get("/apis", send={"Accept": V2}, body={"kind": "APIGroupDiscoveryList"}),
    ),
    row(
        "aggregated groups, older",
        get(
            "/apis",
            send={"Accept": V2BETA1},
            body={"apiVersion": "apidiscovery.k8s.io/v2beta1"},
            headers={"Content-Type": like(".*v=v2beta1.*")},
        ),
    ),
    row(
        "aggregated groups without peers",
        get("/apis", send={"Accept": f"{V2};profile=nopeer,{V2}"}, headers={"Content-Type": IS_V2}),
    ),
    row("an unknown group", get("/apis/nosuch/v1", 404, text=NOT_FOUND)),
    row("an unknown group alone", get("/apis/nosuch", 404, text=NOT_FOUND)),
    row("an unknown version", get("/apis/batch/v9", 404, text=NOT_FOUND)),
    row("an unknown root path", get("/nosuch", 404, text=NOT_FOUND)),
    row(
        "an unknown resource",
        get("/apis/batch/v1/namespaces/default/jobz", 404, message=NO_SUCH, reason="NotFound", details={}),
    ),
    row("an unknown core resource", get("/api/v1/nosuch", 404, message=NO_SUCH, details={})),
    row(
        "an unknown subresource",
        get("/apis/batch/v1/namespaces/default/jobs/x/nosuch", 404, message=NO_SUCH),
    ),
    row(
        "a resource of another group's version",
        post("/apis/apps/v1/namespaces/default/jobs", {}, 404, message=NO_SUCH),
    ),
    row(
        "OpenAPI 2 as an old kubectl asks",
        get(
            "/openapi/v2",
            send={"Accept": OLD_V2},
            headers={"Content-Type": "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"},
        ),
    ),
    row(
        "OpenAPI 2 in JSON",
        get(
            "/openapi/v2",
            headers={"Content-Type": "application/json", "Etag": ANY},
            body={
                "swagger": "2.0",
                "definitions": {"io.k8s.api.batch.v1.Job": {"x-kubernetes-group-version-kind": [{"group": "batch", "kind": "Job", "version": "v1"}]}},
                "paths": {"/apis/batch/v1/namespaces/{namespace}/jobs": {"post": {"x-kubernetes-action": "post", "operationId": "createBatchV1NamespacedJob"}}},
            },
        ),
    ),
    row(
        "OpenAPI 3",
        get("/openapi/v3", body={"paths": {"apis/batch/v1": {"serverRelativeURL": ANY}, "api/v1": ANY}}),
        get(
            "<<0.paths.apis/batch/v1.serverRelativeURL>>",
            headers={"Etag": ANY, "Cache-Control": like(".*immutable.*")},
            body={"openapi": like(r"3\.0.*"), "components": {"schemas": {"io.k8s.api.batch.v1.Job": ANY}}},
        ),
    ),
    row(
        "OpenAPI 3 of a stale hash",
        get("/openapi/v3/apis/batch/v1?hash=00", 301, headers={"Location": like(".*hash=.*")}),
    ),
    row(
        "kubectl trusts the server's validation",
        get(
            "/openapi/v3/apis/batch/v1",
            body={
                "paths": {
                    "/apis/batch/v1/namespaces/{namespace}/jobs/{name}": {
                        "patch": {
                            "parameters": has(name="fieldValidation"),
                            "x-kubernetes-group-version-kind": {
                                "group": "batch", "version": "v1", "kind": "Job",
                            },
                        }
                    }
                }
            },
        ),
    ),
    row("metrics", get("/metrics", headers={"Content-Type": like("text/plain.*")})),
]  # fmt: skip
