"""From a request to a registry verb to an answer.

The order of checks is kube-apiserver's (apiserver/pkg/endpoints/handlers): the form of the answer,
the options, the body, its kind, its name and namespace, and then the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kubatch.api import errors
from kubatch.api import resource as table
from kubatch.api.errors import ApiError
from kubatch.api.resource import (
    BINDINGS,
    NAMESPACES,
    PODS,
    SERVICEACCOUNTS,
    Resource,
)
from kubatch.client.protocol import PodStreams
from kubatch.registry.lists import parse_revision, too_large_revision
from kubatch.registry.strategy import RequestContext
from kubatch.registry.values import Entry, ListRequest, Page
from kubatch.server import (
    applying,
    asking,
    bodies,
    connect,
    consumption,
    discovery,
    documents,
    health,
    insight,
    metrics,
    negotiate,
    pods,
    request,
    scale,
    tables,
)
from kubatch.server.gate import Gate
from kubatch.server.insight import Insight
from kubatch.server.negotiate import Form
from kubatch.server.pieces import Pieces
from kubatch.server.replies import Answer, Call, Reply, Stream, json_reply, page_not_found
from kubatch.server.request import ListOptions, RequestInfo
from kubatch.server.reviews import ANSWERS
from kubatch.server.streams import EventWriter, WatchStream
from kubatch.server.tables import Tabler
from kubatch.settings import Settings
from kubatch.world import World

if TYPE_CHECKING:
    from kubatch.registry.api import Registry

# Kinds whose DELETE answers the object even when it is gone (their storages' ReturnDeletedObject).
_ANSWERS_DELETED: frozenset[Resource[Any]] = frozenset((PODS, SERVICEACCOUNTS))


class Handlers:
    """Answers requests whose caller is known and allowed."""

    def __init__(
        self,
        registry: Registry,
        streams: PodStreams,
        settings: Settings,
        world: World,
        ready: Callable[[], bool],
        gate: Callable[[], Gate],
        shown: Insight,
    ) -> None:
        self._registry = registry
        self._gate = gate
        self._insight = shown
        self._streams = streams
        self._settings = settings
        self._world = world
        alive: Mapping[str, Callable[[], bool]] = {"ping": lambda: True}
        self._checks = {
            "/healthz": alive,
            "/livez": alive,
            "/readyz": {**alive, "poststarthook/kubatch": ready},
        }

    async def handle(self, call: Call, address: str) -> Answer:
        """The answer. `address` is the server's own host:port. Raises ApiError."""
        if call.info.is_resource:
            return await self._resource(call)
        about = request.explained(call.info)
        if about is not None:
            return await insight.answer(about, self._registry, self._insight.explain)
        return self._other(call, address)

    # ----- paths that are no resources

    def _other(self, call: Call, address: str) -> Reply:
        info = call.info
        if info.method != "GET":
            return page_not_found()
        path, accept = info.path, call.header("Accept")
        first = path.split("/")[1]
        checks = self._checks.get(f"/{first}")
        if checks is not None:
            return health.answer(info, checks)
        if path == "/metrics":
            return metrics.reply(self._insight.meters)
        if path == "/version":
            return Reply(discovery.version().body)
        if first in ("api", "apis"):
            return documents.found(call, discovery.find(path, accept, address))
        if first == "openapi":
            return documents.openapi_document(call, self._world.now())
        if first in (".well-known", "openid"):
            return asking.issuer(path, address, self._gate())
        if path == "/":
            known = ["/api", "/apis", *self._checks, "/metrics", "/version"]
            return json_reply({"paths": sorted(known)})
        return page_not_found()

    # ----- resources

    async def _resource(self, call: Call) -> Answer:
        info = call.info
        if (info.group, info.version) == (consumption.GROUP, consumption.VERSION):
            return consumption.answer(call, self._insight.consumption())
        if not discovery.serves(info.group, info.version):
            return page_not_found()
        resource = _find(info)
        if resource.deprecation:
            call.warnings.append(resource.deprecation)
        if info.subresource:
            return await self._subresource(call, resource)
        verb = info.verb
        if verb not in resource.verbs or info.method in ("HEAD", "OPTIONS"):
            raise errors.method_not_allowed()
        match verb:
            case "get":
                return await self._get(call, resource)
            case "list":
                return await self._list(call, resource)
            case "watch":
                return self._watch(call, resource)
            case "create" if resource is BINDINGS:
                return await pods.bind(call, self._registry)
            case "create" if resource in ANSWERS:
                return await asking.answer(call, resource, self._gate())
            case "create":
                return await self._create(call, resource)
            case "update":
                return await self._update(call, resource)
            case "patch":
                return await self._patch(call, resource)
            case "delete":
                return await self._delete(call, resource)
            case _:
                return await self._delete_collection(call, resource)

    async def _subresource(self, call: Call, resource: Resource[Any]) -> Answer:
        info = call.info
        found = next((s for s in resource.subresources if s.name == info.subresource), None)
        if found is None or info.rest:
            raise errors.no_such_resource()
        if info.verb not in found.verbs or info.method in ("HEAD", "OPTIONS"):
            raise errors.method_not_allowed()
        if resource is PODS and found.name == "log":
            return await pods.log(call, self._registry, self._streams)
        if resource is PODS and found.name in connect.BEGIN:
            return await connect.begin(call, self._registry, self._streams, self._settings)
        if resource is PODS and found.name == "binding":
            return await pods.bind(call, self._registry)
        if resource is PODS and found.name == "eviction":
            return await pods.evict(call, self._registry, self._context(call))
        if found.name == "scale":
            return await scale.answer(call, self._registry, self._context(call))
        if resource is SERVICEACCOUNTS and found.name == "token":
            return await asking.token(call, self._gate())
        match info.verb:
            case "get":
                return await self._get(call, resource)
            case "update":
                return await self._update(call, resource)
            case _:
                return await self._patch(call, resource)

    # ----- reads

    async def _get(self, call: Call, resource: Resource[Any]) -> Reply:
        form = negotiate.form(call.header("Accept"))
        entry = await self._registry.get(resource, call.info.namespace, call.info.name)
        return self._one(call, resource, form, entry)

    async def _list(self, call: Call, resource: Resource[Any]) -> Reply | Pieces:
        form = negotiate.form(call.header("Accept"))
        options = request.list_options(call.info.query, watch=False)
        if not form.transform:
            wanted = _list_request(options)
            found = await self._registry.select(resource, call.info.namespace, wanted)
            return Pieces(tables.list_pieces(resource, found))
        include = tables.include_object(call.info.query) if form.transform == "Table" else None
        page = await self._registry.list(resource, call.info.namespace, _list_request(options))
        return self._page(resource, form, page, include)

    def _watch(self, call: Call, resource: Resource[Any]) -> Stream:
        info = call.info
        form = negotiate.form(call.header("Accept"))
        options = request.list_options(info.query, watch=True)
        negotiate.check_streamable(form)
        tabler = None
        if form.transform == "Table":
            tabler = self._tabler(resource, form, tables.include_object(info.query))

        def update_clock() -> None:
            if tabler is not None:
                tabler.now = self._world.now()

        # 1.36 marks the end of the initial events also where nobody asked for them by name.
        wants_initial = options.send_initial_events or (
            options.send_initial_events is None and options.resource_version in ("", "0")
        )
        bookmarks = options.allow_bookmarks
        timeout = float(options.timeout_seconds or 0)
        if timeout <= 0:
            # Spread, so that watchers who came together do not come back together
            # (apiserver/pkg/endpoints/handlers/get.go: ListResource).
            timeout = self._settings.watch_timeout * (1 + self._world.rng.random())
        try:
            watch: Any = self._registry.watch(
                resource, info.namespace, self._watch_request(info, options)
            )
        except ApiError as error:
            # A revision too old is told inside the stream, anything else is an answer of its own.
            if error.code != 410:
                raise
            watch = error
        return WatchStream(
            watch,
            EventWriter(resource, form, tabler, self._insight.meters),
            update_clock,
            timeout,
            self._settings.bookmark_interval if bookmarks else None,
            bool(bookmarks and wants_initial),
        )

    def _watch_request(self, info: RequestInfo, options: ListOptions) -> ListRequest:
        selector = options.field_selector
        if info.name:
            only = f"metadata.name={info.name}"
            selector = f"{selector},{only}" if selector else only
        revision = options.resource_version
        present = self._registry.revision
        if options.send_initial_events:
            wanted = parse_revision(revision) or 0
            if wanted > present:
                raise too_large_revision(wanted, present)
            revision = ""
        elif options.send_initial_events is False and revision in ("", "0"):
            revision = str(present)
        return ListRequest(options.label_selector, selector, resource_version=revision)

    # ----- writes

    async def _create(self, call: Call, resource: Resource[Any]) -> Reply:
        info = call.info
        form = negotiate.form(call.header("Accept"))
        options = request.write_options(info.query, "CreateOptions")
        obj = await self._object(call, resource, options.field_validation)
        sent = obj.metadata.namespace
        if resource.namespaced and sent and sent != info.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        obj.metadata.namespace = info.namespace if resource.namespaced else None
        entry = await self._registry.create(
            resource, info.namespace, obj, self._context(call), dry_run=options.dry_run
        )
        return self._one(call, resource, form, entry, 201)

    async def _update(self, call: Call, resource: Resource[Any]) -> Reply:
        info = call.info
        form = negotiate.form(call.header("Accept"))
        options = request.write_options(info.query, "UpdateOptions")
        obj = await self._object(call, resource, options.field_validation)
        _check_name(obj, resource, info)
        entry, created = await self._registry.update(
            resource, info.namespace, info.name, obj, self._context(call),
            subresource=info.subresource, dry_run=options.dry_run,
        )  # fmt: skip
        return self._one(call, resource, form, entry, 201 if created else 200)

    async def _object(self, call: Call, resource: Resource[Any], validation: str) -> Any:
        media = negotiate.body_media(call.header("Content-Type"))
        data = await call.body()
        return bodies.decode_object(resource, data, media, validation, call.warnings)

    async def _patch(self, call: Call, resource: Resource[Any]) -> Reply:
        info = call.info
        kind = negotiate.patch_type(call.header("Content-Type"))
        form = negotiate.form(call.header("Accept"))
        options = request.write_options(info.query, "PatchOptions", apply=kind == "apply")
        if kind == "apply":
            ctx = self._context(call)
            entry, made = await applying.apply(call, resource, self._registry, ctx, options)
            return self._one(call, resource, form, entry, 201 if made else 200)
        patch, earlier = bodies.decode_patch(await call.body(), kind)
        report = bodies.patch_reporter(patch, earlier, options.field_validation, call.warnings)
        entry = await self._registry.patch(
            resource, info.namespace, info.name, kind, patch, self._context(call),
            subresource=info.subresource, dry_run=options.dry_run, field_errors=report,
        )  # fmt: skip
        return self._one(call, resource, form, entry)

    async def _delete(self, call: Call, resource: Resource[Any]) -> Reply:
        info = call.info
        form = negotiate.form(call.header("Accept"))
        options = await _delete_request(call)
        entry, gone = await self._registry.delete(
            resource, info.namespace, info.name, options, self._context(call)
        )
        if not gone or resource in _ANSWERS_DELETED:
            return self._one(call, resource, form, entry)
        details = {"name": info.name, "group": resource.group, "kind": resource.plural}
        details["uid"] = entry.obj.metadata.uid or ""
        return json_reply(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": {k: v for k, v in details.items() if v},
            }
        )

    async def _delete_collection(self, call: Call, resource: Resource[Any]) -> Reply:
        info = call.info
        form = negotiate.form(call.header("Accept"))
        options = request.list_options(info.query, watch=False)
        deletion = await _delete_request(call)
        page = await self._registry.delete_collection(
            resource, info.namespace, _list_request(options), deletion, self._context(call)
        )
        return self._page(resource, form, page, None)

    def _context(self, call: Call) -> RequestContext:
        def guard(resource: Resource[Any], new: Any, old: Any) -> None:
            self._gate().guard(call.user, resource, new, old)

        manager = applying.manager(call.info.query, call.header("User-Agent"))
        return RequestContext(
            call.user.name, call.user.groups, call.warnings, manager, tracks_created=True,
            may_create=lambda: self._gate().admit_creation(call), guard=guard,
        )  # fmt: skip

    # ----- answers

    def _one(
        self, call: Call, resource: Resource[Any], form: Form, entry: Entry[Any], status: int = 200
    ) -> Reply:
        if form.transform == "Table":
            include = tables.include_object(call.info.query)
            return Reply(self._tabler(resource, form, include).one(entry), status)
        if form.transform:
            return Reply(tables.partial_json(entry, form.version), status)
        return Reply(tables.object_json(resource, entry), status)

    def _page(
        self,
        resource: Resource[Any],
        form: Form,
        page: Page[Any],
        include: tables.IncludeObject | None,
    ) -> Reply:
        if form.transform == "Table":
            return Reply(self._tabler(resource, form, include or "Metadata").page(page))
        if form.transform:
            return Reply(tables.partial_list_json(page, form.version))
        return Reply(tables.list_json(resource, page))

    def _tabler(self, resource: Resource[Any], form: Form, include: tables.IncludeObject) -> Tabler:
        strategy = self._registry.strategy(resource)
        return Tabler(strategy, include, form.version, self._world.now())


# ----- routing


def _find(info: RequestInfo) -> Resource[Any]:
    """The resource a path names, where the path's shape fits it. Raises ApiError 404, 405."""
    resource = table.by_path(info.group, info.version, info.resource)
    if resource is None:
        raise errors.no_such_resource()
    if resource.namespaced:
        if info.namespace is None and info.name and info.verb != "watch":
            raise errors.no_such_resource()
        if info.namespace is None and info.verb in ("create", "deletecollection"):
            raise errors.method_not_allowed()
    elif info.namespace is not None and resource is not NAMESPACES:
        raise errors.no_such_resource()
    needs_name = {"create": False, "update": True, "patch": True}.get(info.verb)
    if not info.subresource and needs_name not in (None, bool(info.name)):
        raise errors.method_not_allowed()
    return resource


def _list_request(options: ListOptions) -> ListRequest:
    return ListRequest(
        options.label_selector,
        options.field_selector,
        options.limit,
        options.continue_token,
        options.resource_version,
        options.resource_version_match,
    )


def _check_name(obj: Any, resource: Resource[Any], info: RequestInfo) -> None:
    """An update's object must be the one the URL names (rest.go: checkName)."""
    name = obj.metadata.name
    if not name:
        raise errors.bad_request(
            f"the name of the object ({info.name} based on URL) was undeterminable: "
            "name must be provided"
        )
    if name != info.name:
        raise errors.bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({info.name})"
        )
    namespace = obj.metadata.namespace
    if resource.namespaced and namespace and namespace != info.namespace:
        raise errors.bad_request(
            f"the namespace of the object ({namespace}) does not match the namespace on the "
            f"request ({info.namespace})"
        )
    obj.metadata.namespace = info.namespace if resource.namespaced else None


async def _delete_request(call: Call) -> Any:
    data = await call.body()
    media = negotiate.body_media(call.header("Content-Type")) if data else "json"
    return bodies.delete_request(data, media, call.info.query)
