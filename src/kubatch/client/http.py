"""The Client over HTTPS: another kubatch, or a real Kubernetes.

Made on aiohttp's session, which the server needs anyway. A Kubernetes library's client was weighed
and left: those decode through dictionaries or types of their own, and start watches anew by
themselves; here bytes become models once, and a watch says exactly when its history has a gap.

What is done about failures, as client-go does it: an answer with Retry-After is waited for and
asked again; a watch that ends or breaks goes on from the last revision it has seen; everything
else is an ApiError, also that nobody answers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlsplit

import aiohttp

from kubatch.api import codec, errors
from kubatch.api.errors import ApiError
from kubatch.api.resource import PODS, Resource
from kubatch.client import answers
from kubatch.client.events import one_by_one
from kubatch.client.kubeconfig import Endpoint
from kubatch.client.protocol import Event, Listing, PatchType
from kubatch.world import World

T = TypeVar("T")

PAGE_OBJECTS = 500  # client-go/tools/pager: defaultPageSize
RETRIES = 10  # client-go/rest/request.go: maxRetries, for answers with Retry-After
RETRY_AFTER_MAX = 60.0
REQUEST_SECONDS = 70.0  # a server gives up after 60
CONNECT_SECONDS = 10.0
WATCH_SECONDS = 300  # client-go/tools/cache/reflector.go: minWatchTimeout; up to twice as long
RECONNECTS = 5  # attempts to take up a broken watch again before its reader must list
TOKEN_SECONDS = 60.0  # client-go/transport/token_source.go: how long a token file is believed
CONNECTIONS_MAX = 256

_MEDIA = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Limits:
    """What a client puts up with."""

    answer_bytes_max: int = 512 * 1024 * 1024
    line_bytes_max: int = 16 * 1024 * 1024  # one watch event
    reconnect_delay: float = 0.5  # seconds; doubled with each attempt that follows


class Unreachable(ApiError):
    """Nobody answered, or not to the end: a write may or may not have happened."""


class HttpClient:
    """A Client over one connection's server. For one event loop; close() at the end."""

    def __init__(
        self, endpoint: Endpoint, world: World, agent: str = "kubatch", limits: Limits = Limits()
    ) -> None:
        self.endpoint = endpoint
        self._world = world
        self._agent = agent
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None
        self._token = endpoint.token
        self._token_until = 0.0

    async def __aenter__(self) -> HttpClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ----- reads

    async def get(self, resource: Resource[T], namespace: str | None, name: str) -> T:
        data = await self._request("GET", _path(resource, namespace, name))
        return answers.one(resource, data)

    async def list(
        self,
        resource: Resource[T],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Listing[T]:
        path = _path(resource, namespace)
        query = _selectors(label_selector, field_selector)
        items: list[T] = []
        token, limit = "", PAGE_OBJECTS
        while True:
            asked = {**query, "limit": str(limit)} if limit else dict(query)
            if token:
                asked["continue"] = token
            try:
                page = answers.page(resource, await self._request("GET", path, query=asked))
            except ApiError as error:
                # The chunks that are left are too old: once more, in one (pager.go: List).
                if error.code != 410 or not token:
                    raise
                items, token, limit = [], "", 0
                continue
            items.extend(page.items)
            token = page.continue_token
            if not token:
                return Listing(items, int(page.revision or 0))

    async def get_raw(self, path: str) -> bytes:
        """The answer to a GET of any path of the server. Raises ApiError."""
        return await self._request("GET", path)

    # ----- watch

    async def watch(
        self,
        resource: Resource[T],
        namespace: str | None = None,
        *,
        after: int,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Sequence[Event[T]]]:
        query = _selectors(label_selector, field_selector)
        path = _path(resource, namespace)
        revision, broken = after, 0
        while True:
            started = self._now()
            try:
                async with aclosing(self._watch_once(resource, path, query, revision)) as batches:
                    async for batch in batches:
                        revision, broken = batch.revision, 0
                        if batch.events:
                            yield batch.events
                broken = 0 if self._now() - started > 1.0 else broken + 1
            except Unreachable:
                broken += 1
                if broken > RECONNECTS:
                    raise
            if after == 0 and revision == 0:
                # Broken among the initial events, which come in no order to go on from.
                raise errors.expired("the watch ended before it had told the present state")
            if broken:
                await asyncio.sleep(self._limits.reconnect_delay * 2 ** min(broken - 1, RECONNECTS))

    async def _watch_once(
        self, resource: Resource[T], path: str, query: Mapping[str, str], revision: int
    ) -> AsyncGenerator[answers.Batch[T], None]:
        """One watch request to its end, clean or not. Raises ApiError, Unreachable."""
        seconds = int(WATCH_SECONDS * (1 + self._world.rng.random()))
        asked = {
            **query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        initial = revision == 0
        if not initial:
            asked["resourceVersion"] = str(revision)
        timeout = aiohttp.ClientTimeout(total=seconds + 30.0, sock_connect=CONNECT_SECONDS)
        try:
            async with self._open("GET", path, query=asked, timeout=timeout) as response:
                if response.status != 200:
                    raise answers.failure(response.status, await self._read(response))
                async with aclosing(self._lines(response)) as batches:
                    async for lines in batches:
                        batch = answers.batch(resource, lines, revision)
                        if initial and not batch.initial_done:
                            yield answers.Batch(batch.events, 0)
                            continue
                        initial, revision = False, batch.revision
                        yield batch
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from None

    async def _lines(
        self, response: aiohttp.ClientResponse
    ) -> AsyncGenerator[Sequence[bytes], None]:
        """The lines of an answer that goes on, as many at a time as have come. Raises ApiError."""
        rest = b""
        connection = response.connection
        try:
            while chunk := await response.content.readany():
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > self._limits.line_bytes_max:
                    raise errors.internal("an event is too large")
                if lines:
                    yield [line for line in lines if line]
        finally:
            if not response.content.at_eof() and connection and connection.transport:
                # Nothing is left to say: no waiting for the other side to close TLS as well.
                connection.transport.abort()

    # ----- writes

    async def create(self, resource: Resource[T], obj: T) -> T:
        namespace = cast(Any, obj).metadata.namespace if resource.namespaced else None
        path = _path(resource, namespace)
        return answers.one(
            resource, await self._request("POST", path, codec.to_wire(resource, obj))
        )

    async def write_events(
        self, resource: Resource[T], events: Sequence[T]
    ) -> Sequence[ApiError | None]:
        return await one_by_one(self, resource, events)

    async def update(self, resource: Resource[T], obj: T, subresource: str = "") -> T:
        meta = cast(Any, obj).metadata
        path = _path(resource, meta.namespace, meta.name, subresource)
        return answers.one(resource, await self._request("PUT", path, codec.to_wire(resource, obj)))

    async def patch(
        self,
        resource: Resource[T],
        namespace: str | None,
        name: str,
        patch: Any,
        *,
        type: PatchType = "merge",
        subresource: str = "",
    ) -> T:
        path = _path(resource, namespace, name, subresource)
        data = await self._request("PATCH", path, codec.encode_json(patch), media=_MEDIA[type])
        return answers.one(resource, data)

    async def remove_finalizer(
        self, resource: Resource[T], namespace: str | None, name: str, finalizer: str
    ) -> T | None:
        # As the Job controller does it (job_controller.go: removeTrackingFinalizerPatch).
        patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": [finalizer]}}
        try:
            return await self.patch(resource, namespace, name, patch, type="strategic")
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def delete(
        self,
        resource: Resource[T],
        namespace: str | None,
        name: str,
        *,
        grace_period_seconds: int | None = None,
        propagation: str | None = None,
        uid: str | None = None,
    ) -> T | None:
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if propagation is not None:
            options["propagationPolicy"] = propagation
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        path = _path(resource, namespace, name)
        data = await self._request("DELETE", path, codec.encode_json(options))
        return None if answers.kind_of(data) == "Status" else answers.one(resource, data)

    async def bind(self, namespace: str, name: str, uid: str, node: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        path = _path(PODS, namespace, name, "binding")
        await self._request("POST", path, codec.encode_json(binding))

    # ----- requests

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        query: Mapping[str, str] | None = None,
        media: str = "application/json",
    ) -> bytes:
        """The body of a successful answer. Raises ApiError, Unreachable."""
        retries = 0
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
        while True:
            try:
                async with self._open(
                    method, path, body, query=query, media=media, timeout=timeout
                ) as response:
                    data = await self._read(response)
                    status, wait = response.status, response.headers.get("Retry-After", "")
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise self._unreachable(error) from None
            if status < 300:
                return data
            again = status == 429 or status >= 500
            if not again or not wait.isdigit() or retries >= RETRIES:
                if status == 401:
                    self._token_until = 0.0  # a rotated token may be there already
                raise answers.failure(status, data)
            retries += 1
            await asyncio.sleep(min(float(wait), RETRY_AFTER_MAX))

    def _open(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        query: Mapping[str, str] | None = None,
        media: str = "",
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        if self._session is None:
            self._session = self._make_session()
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = media
        if (token := self._bearer()) and self.endpoint.tls is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self._session.request(
            method,
            self.endpoint.server + path,
            params=query,
            data=body,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,  # nobody else is given what is meant for this server
            server_hostname=self.endpoint.server_name,
        )

    def _make_session(self) -> aiohttp.ClientSession:
        headers = {"User-Agent": self._agent}
        if urlsplit(self.endpoint.server).hostname in _LOOPBACK:
            headers["Accept-Encoding"] = "identity"  # packing costs more than it saves there
        tls = self.endpoint.tls
        connector = aiohttp.TCPConnector(
            ssl=tls if tls is not None else True,
            limit=CONNECTIONS_MAX,
            socket_factory=_keepalive_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=1 << 20,
            proxy=self.endpoint.proxy,
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := await response.content.readany():
            size += len(chunk)
            if size > self._limits.answer_bytes_max:
                raise errors.internal("the server's answer is too large")
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _bearer(self) -> str:
        path = self.endpoint.token_file
        if path is not None and self._now() >= self._token_until:
            try:
                self._token = path.read_text().strip()
            except OSError:
                pass  # the one known may still do; if not, the answer is 401
            self._token_until = self._now() + TOKEN_SECONDS
        return self._token

    def _unreachable(self, error: Exception) -> Unreachable:
        number = getattr(error, "errno", None)
        if isinstance(error, TimeoutError):
            why = "no answer in time"
        elif number and number > 0 and not isinstance(error, ssl.SSLError):
            why = os.strerror(number)
        else:
            why = str(error) or type(error).__name__
        return Unreachable(503, "ServiceUnavailable", f"cannot reach {self.endpoint.server}: {why}")

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _path(
    resource: Resource[Any], namespace: str | None, name: str = "", subresource: str = ""
) -> str:
    root = f"/apis/{resource.group}" if resource.group else "/api"
    path = f"{root}/{resource.version}"
    if resource.namespaced and namespace:
        path += f"/namespaces/{quote(namespace, safe='')}"
    path += f"/{resource.plural}"
    if name:
        if name in (".", "..") or namespace in (".", ".."):
            raise errors.bad_request(f"{name} is no name")  # a step up in the path, else
        path += f"/{quote(name, safe='')}"
    return f"{path}/{subresource}" if subresource else path


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    query = {}
    if label_selector:
        query["labelSelector"] = label_selector
    if field_selector:
        query["fieldSelector"] = field_selector
    return query


def _keepalive_socket(address: Any) -> socket.socket:
    """A socket that notices within a minute and a half that its server has vanished.

    A watch may be silent for long, and then nothing else would tell.
    """
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
    return made
