"""The subresources that only pods have: log, binding and eviction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kubatch.api import errors, fields
from kubatch.api.errors import ApiError
from kubatch.api.models import Pod
from kubatch.api.resource import PODS
from kubatch.client.protocol import PodStreams
from kubatch.registry import binding, eviction
from kubatch.registry.strategy import RequestContext
from kubatch.server import bodies, negotiate, request
from kubatch.server.replies import LOG_TEXT, Call, Reply, Stream, json_reply
from kubatch.server.streams import LogStream

if TYPE_CHECKING:
    from kubatch.registry.api import Registry


async def log(call: Call, registry: Registry, streams: PodStreams) -> Reply | Stream:
    """pods/log: the stream, or 204 for a pod that no node has yet. Raises ApiError."""
    info = call.info
    if not negotiate.accepts_text(call.header("Accept")):
        raise negotiate.not_acceptable()
    options = request.log_options(info.query, info.name)
    entry = await registry.get(PODS, info.namespace, info.name)
    pod: Pod = entry.obj
    container = choose_container(pod, request.first(info.query, "container"))
    if pod.spec is None or not pod.spec.nodeName:
        return Reply(b"", 204, LOG_TEXT)
    return LogStream(streams.logs(info.namespace or "", info.name, container, options))


def choose_container(pod: Pod, asked: str) -> str:
    """The container whose log is meant (registry/core/pod/strategy.go: LogLocation).

    Raises ApiError 400 when the pod has several and none was named, or when it lacks the named one.
    """
    assert pod.spec is not None, "a stored pod has a spec"
    assert pod.metadata is not None, "a stored pod has a name"
    name = pod.metadata.name
    containers = [c.name for c in pod.spec.containers or ()]
    first = [c.name for c in pod.spec.initContainers or ()]
    last = [c.name for c in pod.spec.ephemeralContainers or ()]
    names = [*first, *containers, *last]
    if asked:
        if asked not in names:
            raise errors.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(containers) == 1:
        return containers[0]
    raise errors.bad_request(
        f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
    )


async def bind(call: Call, registry: Registry) -> Reply:
    """pods/binding, or bindings: the scheduler's decision. Raises ApiError 400, 404, 409, 500."""
    info = call.info
    negotiate.form(call.header("Accept"))
    options = request.write_options(info.query, "CreateOptions")
    asked = await _body(call, "Binding", "core")
    metadata, target = _member(asked, "metadata"), _member(asked, "target")
    name = metadata.get("name") or info.name
    if info.name and name != info.name:
        raise errors.bad_request("name in URL does not match name in Binding object")
    if not name:
        # /bindings names the pod in the body alone, as every create does.
        why = "name or generateName is required"
        raise errors.invalid("", "Binding", "", [fields.required("metadata.name", why)])
    if target.get("kind") not in (None, "", "Node"):
        raise _refused(
            f'target.kind: Unsupported value: "{target["kind"]}": supported values: '
            '"Node", "<empty>"'
        )
    node = target.get("name")
    if not isinstance(node, str) or not node:
        raise _refused("target.name: Required value")
    if not options.dry_run:
        uid = metadata.get("uid") or None
        await binding.bind(registry, info.namespace or "", str(name), uid, node)
    return _created()


async def evict(call: Call, registry: Registry, context: RequestContext) -> Reply:
    """pods/eviction: a delete that asks the disruption budget. Raises ApiError 400, 404, 429."""
    info = call.info
    negotiate.form(call.header("Accept"))
    options = request.write_options(info.query, "CreateOptions")
    asked = await _body(call, "Eviction", "policy")
    if _member(asked, "metadata").get("name") != info.name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    deletion = bodies.delete_options(_member(asked, "deleteOptions"))
    deletion = replace(deletion, dry_run=deletion.dry_run or options.dry_run)
    await eviction.evict(registry, info.namespace or "", info.name, deletion, context)
    return _created()


async def _body(call: Call, kind: str, package: str) -> dict[str, Any]:
    """A body that is asked and not stored, as plain values. Raises ApiError 400."""
    media = negotiate.body_media(call.header("Content-Type"))
    value = bodies.decode_value(await call.body(), media, kind).value
    sent = value.get("kind") or kind
    if sent != kind:
        version = str(value.get("apiVersion") or "v1").rpartition("/")[2]
        raise errors.bad_request(
            f'{sent} in version "{version}" cannot be handled as a {kind}: '
            f"converting ({version}.{sent}) to ({package}.{kind}): unknown conversion"
        )
    return value


def _created() -> Reply:
    return json_reply(
        {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201},
        201,
    )


def _member(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _refused(text: str) -> ApiError:
    """Findings that Kubernetes sends as 500 (registry/core/pod/storage: BindingREST.Create)."""
    return ApiError(500, "", text)
