"""Sockets, TLS and HTTP: where requests come in and answers go out.

aiohttp's low-level server without its router: a path is taken apart by request.py, once.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from kubatch.api import codec, errors
from kubatch.api.errors import ApiError
from kubatch.api.models import TokenRequest
from kubatch.client.protocol import PodStreams
from kubatch.server import account_tokens, audit, auth, certificates, kubeconfig, negotiate, request
from kubatch.server.access.policy import Policy
from kubatch.server.accounts import Accounts
from kubatch.server.arriving import read_whole, timed_out
from kubatch.server.audit import AuditLog, Record
from kubatch.server.auth import Authenticator
from kubatch.server.connections import Connection, Listener
from kubatch.server.gate import Gate
from kubatch.server.handlers import Handlers
from kubatch.server.insight import Insight
from kubatch.server.limits import Limits, too_many
from kubatch.server.metrics import RequestMeter
from kubatch.server.pieces import SHORT_BYTES_MAX, Pieces, send, send_whole
from kubatch.server.replies import Answer, Call, Reply, Stream, Upgrade, warning_headers
from kubatch.server.upgrade import Door
from kubatch.settings import Settings
from kubatch.world import World

if TYPE_CHECKING:
    from kubatch.registry.api import Registry

logger = logging.getLogger(__name__)

_AUDIT_ID = web.RequestKey("audit-id", str)
_RECORD = web.RequestKey("audit-record", Record)
AUDIT_ID_MAX = 64  # apiserver/pkg/endpoints/filters/with_auditid.go: maxAuditIDLength
_MUTATING = frozenset(("POST", "PUT", "PATCH", "DELETE"))


class ApiServer:
    """Serves one registry over HTTPS."""

    def __init__(
        self,
        registry: Registry,
        streams: PodStreams,
        settings: Settings,
        world: World,
        *,
        ready: Callable[[], bool],
        policy: Policy | None = None,
        insight: Insight | None = None,
    ) -> None:
        self._settings = settings
        self._world = world
        self._registry = registry
        self._policy = policy or Policy()  # without roles: only the administrator gets in
        self._gate = Gate(Authenticator(), self._policy)
        insight = insight or Insight()
        self._meter = RequestMeter(insight.meters)
        self._handlers = Handlers(
            registry, streams, settings, world, ready, lambda: self._gate, insight
        )
        self._audit: AuditLog | None = None
        self.ca = b""  # the certificate of the authority, once started
        self._limits = Limits(settings)
        self._http: Listener | None = None
        self._listener: asyncio.Server | None = None
        self._open_streams: set[asyncio.Future[None]] = set()
        self._stopping = False
        self._audit_prefix = world.uid()[:24]
        self._audited = 0
        self.port = settings.port

    @property
    def url(self) -> str:
        """Where clients on this machine find the server."""
        return kubeconfig.server_url(self._settings.address, self.port)

    @property
    def connections(self) -> int:
        """How many there are."""
        return 0 if self._http is None else self._http.open

    @property
    def kubeconfig_path(self) -> Path:
        """The file start() writes."""
        return self._settings.kubeconfig or self._settings.data_dir / "kubeconfig"

    async def start(self) -> None:
        """Listen, and write the kubeconfig. Raises OSError when the address is taken."""
        settings = self._settings
        names = [n for n in (settings.address, socket.gethostname()) if n]
        pki = certificates.ensure(settings.data_dir / "pki", names, self._world.now())
        self.ca = pki.ca.certificate_pem
        tokens = auth.ensure_tokens(settings.data_dir / "tokens", self._world)
        authority = account_tokens.TokenAuthority(account_tokens.ensure_key(pki.directory))
        accounts = Accounts(authority, self._registry, self._world)
        self._gate = Gate(Authenticator(tokens, accounts), self._policy)
        if settings.audit_log is not None:
            self._audit = audit.open_log(settings)
        self._http = Listener(self._serve, settings)
        self._listener = await asyncio.get_running_loop().create_server(
            self._http,
            settings.address or None,
            settings.port,
            ssl=pki.server_context(),
            ssl_handshake_timeout=settings.tls_handshake_timeout,
            backlog=1024,
            reuse_address=True,
        )
        self.port = self._listener.sockets[0].getsockname()[1]
        kubeconfig.write(self.kubeconfig_path, self.url, pki)

    async def issue_token(self, namespace: str, name: str, asked: TokenRequest) -> TokenRequest:
        """A service account's token, for the pods of this process. Raises ApiError."""
        accounts = self._gate.authenticator.accounts
        assert accounts is not None, "a started server issues tokens"
        return await accounts.create(namespace, name, asked, [])

    async def stop(self) -> None:
        """Stop listening, end watches and logs at once, let other requests finish."""
        self._stopping = True
        if self._listener is not None:
            self._listener.close()
        for closing in list(self._open_streams):
            _finish(closing)
        if self._http is not None:
            self._http.pre_shutdown()
            await self._http.shutdown(self._settings.shutdown_grace)
        if self._listener is not None:
            await self._listener.wait_closed()
        if self._audit is not None:
            self._audit.close()

    # ----- one request

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        info = request.parse(http.method, http.raw_path)
        with self._meter.request(info) as metered:
            response = await self._audited_process(http, info)
            metered.code = response.status
            return response

    async def _audited_process(
        self, http: web.BaseRequest, info: request.RequestInfo
    ) -> web.StreamResponse:
        if self._audit is None:
            return await self._process(http, info, None)
        record = http[_RECORD] = self._record(http, info)
        try:
            response = await self._process(http, info, record)
            record.code = response.status
            return response
        finally:
            self._audit.write(record, self._world.now())

    async def _process(
        self, http: web.BaseRequest, info: request.RequestInfo, record: Record | None
    ) -> web.StreamResponse:
        headers = http.headers
        call: Call | None = None
        try:
            peer = auth.peer_of(http.transport)
            who = await self._gate.caller(peer, headers, record)
            if self._audit is not None and record is not None:
                self._audit.received(record, self._world.now())
            user = self._gate.acting(who, headers, record)
            call = Call(info, user, headers, lambda: self._body(http, record))
            lane = self._limits.lane(info)
            if lane is None:
                return await self._carry_out(http, call, record)
            if not (lane.enter(user) or await lane.wait(user)):
                return await self._respond(http, info, too_many(), [])
            try:
                return await self._carry_out(http, call, record)
            finally:
                lane.leave(user)
        except ApiError as error:
            if record is not None:
                record.message, record.status_reason = error.message, error.reason
            return await self._respond_error(http, info, error, call)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as unforeseen:
            if record is not None:
                record.failure = str(unforeseen) or type(unforeseen).__name__
            logger.exception("%s %s failed", info.method, info.path)
            failure = errors.internal("the server failed; its log tells how")
            return await self._respond_error(http, info, failure, call)

    async def _carry_out(
        self, http: web.BaseRequest, call: Call, record: Record | None
    ) -> web.StreamResponse:
        """What the caller wants, if it may. Raises ApiError."""
        self._gate.admit(call, record)
        info, headers = call.info, http.headers
        if info.method in _MUTATING:
            # Once begun, a write is finished, whether or not the client waits for it.
            answer = await asyncio.shield(self._answer(call, headers))
        else:
            answer = await self._answer(call, headers)
        if isinstance(answer, Pieces):
            return await self._send(http, info, answer, call.warnings)
        if isinstance(answer, Reply):
            return await self._respond(http, info, answer, call.warnings)
        if info.verb != "watch" and isinstance(http.protocol, Connection):
            http.protocol.is_patient = True
        if isinstance(answer, Upgrade):
            return await self._upgrade(http, answer)
        return await self._stream(http, answer, call.warnings)

    def _record(self, http: web.BaseRequest, info: request.RequestInfo) -> Record:
        """What the audit log will say of a request; its id goes back with the answer."""
        audit_id = http.headers.get("Audit-Id", "")[:AUDIT_ID_MAX] or self._audit_id()
        http[_AUDIT_ID] = audit_id
        peer = http.transport.get_extra_info("peername") if http.transport is not None else None
        agent = http.headers.get("User-Agent", "")
        source = str(peer[0]) if peer else ""
        return Record(info, http.raw_path, audit_id, self._world.now(), source, agent)

    async def _answer(self, call: Call, headers: Mapping[str, str]) -> Answer:
        return await self._handlers.handle(call, headers.get("Host", ""))

    async def _body(self, http: web.BaseRequest, record: Record | None) -> bytes:
        body = await self._read_body(http)
        if record is not None:
            record.note_request(body, http.headers.get("Content-Type", ""))
        return body

    async def _read_body(self, http: web.BaseRequest) -> bytes:
        """The body, if it is no larger than allowed. Raises ApiError 400, 413, 504."""
        limit = self._settings.body_bytes_max
        if (http.content_length or 0) > limit:
            raise errors.too_large(limit)
        if http.headers.get("Expect", "").lower() == "100-continue" and http.transport:
            http.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            if http.content.is_eof():
                return await read_whole(http.content, limit)  # most bodies come with the headers
            async with asyncio.timeout(self._settings.request_timeout):
                return await read_whole(http.content, limit)
        except TimeoutError:
            raise timed_out() from None
        except web.RequestPayloadError as error:
            raise errors.bad_request(f"the body could not be read: {error}") from None

    # ----- answers

    async def _respond(
        self,
        http: web.BaseRequest,
        info: request.RequestInfo,
        reply: Reply,
        warnings: list[str],
    ) -> web.StreamResponse:
        body, content_type = reply.body, reply.content_type
        if not content_type:
            self._note(http, body)
            accept, agent = http.headers.get("Accept", ""), http.headers.get("User-Agent", "")
            pretty = negotiate.wants_pretty(info.query, agent)
            body, content_type = negotiate.finish(body, negotiate.form(accept), pretty)
        response = web.Response(status=reply.status, headers=reply.headers)
        self._add_headers(http, response, content_type, warnings)
        if (
            len(body) > SHORT_BYTES_MAX
            and http.method == "GET"
            and "gzip" in http.headers.get("Accept-Encoding", "")
        ):
            body = await asyncio.to_thread(gzip.compress, body, 1, mtime=0)
            response.headers["Content-Encoding"] = "gzip"
            response.headers["Vary"] = "Accept-Encoding"
        if len(body) > SHORT_BYTES_MAX:
            return await self._send_long(http, response, body)
        if reply.status not in (204, 304):
            response.body = body
        return response

    async def _send_long(
        self, http: web.BaseRequest, short: web.Response, body: bytes
    ) -> web.StreamResponse:
        """An answer that has to be held while the client takes it: as many as there is room for."""
        if not self._limits.answers.take(len(body)):
            return await self._respond(http, request.parse("GET", "/"), too_many(), [])
        try:
            response = web.StreamResponse(status=short.status, headers=short.headers)
            await send_whole(http, response, body)
        except ConnectionError:
            pass  # the client left
        finally:
            self._limits.answers.give(len(body))
        return response

    async def _send(
        self,
        http: web.BaseRequest,
        info: request.RequestInfo,
        answer: Pieces,
        warnings: list[str],
    ) -> web.StreamResponse:
        """A list: in pieces when it is long and nobody wants it written otherwise."""
        headers = http.headers
        body = answer.whole_if_short()
        if body is None:
            form = negotiate.form(headers.get("Accept", ""))
            pretty = negotiate.wants_pretty(info.query, headers.get("User-Agent", ""))
            # HTTP/1.0 knows no answer whose length is not told.
            if form.media == "yaml" or pretty or http.version < (1, 1):
                body = answer.whole()
        if body is not None:
            return await self._respond(http, info, Reply(body), warnings)
        self._note(http, None)
        response = web.StreamResponse()
        self._add_headers(http, response, negotiate.JSON, warnings)
        gzipped = "gzip" in headers.get("Accept-Encoding", "")
        if gzipped:
            response.headers["Content-Encoding"] = "gzip"
            response.headers["Vary"] = "Accept-Encoding"
        try:
            await send(http, response, answer.pieces, gzipped)
        except ConnectionError:
            pass  # the client left
        return response

    async def _respond_error(
        self,
        http: web.BaseRequest,
        info: request.RequestInfo,
        error: ApiError,
        call: Call | None,
    ) -> web.StreamResponse:
        body = codec.encode_json(error.to_status())
        self._note(http, body)
        headers = {}
        if error.details is not None and error.details.retry_after_seconds:
            headers["Retry-After"] = str(error.details.retry_after_seconds)
        if error.code == 403:
            headers["X-Content-Type-Options"] = "nosniff"
        try:
            how = negotiate.form(http.headers.get("Accept", ""))
        except ApiError:
            how = negotiate.PLAIN
        agent = http.headers.get("User-Agent", "")
        body, content_type = negotiate.finish(body, how, negotiate.wants_pretty(info.query, agent))
        reply = Reply(body, error.code, content_type, headers)
        return await self._respond(http, info, reply, call.warnings if call else [])

    async def _stream(
        self, http: web.BaseRequest, stream: Stream, warnings: list[str]
    ) -> web.StreamResponse:
        response = web.StreamResponse()
        sink = _Sink(http, response, lambda ct: self._add_headers(http, response, ct, warnings))
        closing = self._closing()
        try:
            await stream.run(sink, closing)
        except ApiError:
            if not response.prepared:
                raise
            logger.debug("%s ended with an error", http.path, exc_info=True)
        except ConnectionError:
            pass  # the client left
        finally:
            self._open_streams.discard(closing)
        return response

    async def _upgrade(self, http: web.BaseRequest, upgrade: Upgrade) -> web.StreamResponse:
        closing = self._closing()
        door = Door(http, self._audit_id_of(http), lambda code: self._started(http, code))
        try:
            return await upgrade.run(door, closing)
        except Exception:
            if not door.response.prepared:
                raise
            # HTTP is over on this connection, so there is nobody to tell.
            logger.debug("%s ended with an error", http.path, exc_info=True)
            return door.response
        finally:
            self._open_streams.discard(closing)

    def _closing(self) -> asyncio.Future[None]:
        """Done when what goes on has to end, because the server does."""
        closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open_streams.add(closing)
        if self._stopping:
            _finish(closing)
        return closing

    def _add_headers(
        self,
        http: web.BaseRequest,
        response: web.StreamResponse,
        content_type: str,
        warnings: list[str],
    ) -> None:
        self._started(http, response.status)
        headers = response.headers
        headers["Content-Type"] = content_type
        headers["Server"] = "kubatch"  # aiohttp would tell its version
        headers["Audit-Id"] = self._audit_id_of(http)
        headers.setdefault("Cache-Control", "no-cache, private")
        for value in warning_headers(warnings):
            headers.add("Warning", value)

    def _started(self, http: web.BaseRequest, code: int) -> None:
        """An answer begins."""
        if self._audit is not None and (record := http.get(_RECORD)) is not None:
            self._audit.started(record, code, self._world.now())

    def _note(self, http: web.BaseRequest, answer: bytes | None) -> None:
        """The JSON that is answered, for the audit log; None: more than it holds."""
        if self._audit is not None and (record := http.get(_RECORD)) is not None:
            record.note_response(answer)

    def _audit_id_of(self, http: web.BaseRequest) -> str:
        known = http.get(_AUDIT_ID) or http.headers.get("Audit-Id", "")[:AUDIT_ID_MAX]
        return str(known or self._audit_id())

    def _audit_id(self) -> str:
        """Looks like a UUID and is unique; a random one each time would cost as much as parsing."""
        self._audited += 1
        return f"{self._audit_prefix}{self._audited:012x}"


class _Sink:
    """A stream's way out: aiohttp's chunked response."""

    def __init__(
        self,
        http: web.BaseRequest,
        response: web.StreamResponse,
        add_headers: Callable[[str], None],
    ) -> None:
        self._http = http
        self._response = response
        self._add_headers = add_headers

    async def start(self, content_type: str) -> None:
        """Send the headers; prepare() does so at once for a stream."""
        self._add_headers(content_type)
        self._response.enable_chunked_encoding()
        await self._response.prepare(self._http)

    async def write(self, data: bytes) -> None:
        """Send a chunk, waiting while the client's buffers are full."""
        await self._response.write(data)


def _finish(closing: asyncio.Future[Any]) -> None:
    if not closing.done():
        closing.set_result(None)
