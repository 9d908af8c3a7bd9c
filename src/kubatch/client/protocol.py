"""The Client waist: how every part reads, writes and watches objects.

`client/local` answers from the registry in the same process, without encoding; `client/http` talks
to another kubatch or a real Kubernetes. Both raise ApiError. Objects they return are shared:
never change one, make the next with msgspec.structs.replace.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from kubatch.api.errors import ApiError
from kubatch.api.resource import Resource

T = TypeVar("T")

PatchType = Literal["merge", "strategic", "json"]


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A consistent list: every object, and the revision at which they were all so."""

    items: Sequence[T]
    revision: int


@dataclass(frozen=True, slots=True)
class Event(Generic[T]):
    """One change of one object, as a watch tells it."""

    type: str  # ADDED, MODIFIED, DELETED
    object: T
    revision: int


class Reader(Protocol):
    async def get(self, resource: Resource[T], namespace: str | None, name: str) -> T:
        """One object. Raises ApiError 404."""
        ...

    async def list(
        self,
        resource: Resource[T],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Listing[T]:
        """All objects that match; of every namespace when it is None."""
        ...


class Watcher(Protocol):
    def watch(
        self,
        resource: Resource[T],
        namespace: str | None = None,
        *,
        after: int,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Sequence[Event[T]]]:
        """Batches of changes after a revision, for ever.

        Raises ApiError 410 when `after` is too old or this reader too slow: list again.
        """
        ...


class Writer(Protocol):
    async def create(self, resource: Resource[T], obj: T) -> T:
        """Create in obj.metadata.namespace; the stored object."""
        ...

    async def write_events(
        self, resource: Resource[T], events: Sequence[T]
    ) -> Sequence[ApiError | None]:
        """Create events (of either group), which are given away; why each was refused."""
        ...

    async def update(self, resource: Resource[T], obj: T, subresource: str = "") -> T:
        """PUT; subresource "status" writes the status alone.

        A resourceVersion in obj makes it conditional: ApiError 409 when the object moved on.
        """
        ...

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
        """PATCH with a merge, strategic merge or JSON patch given as plain JSON values."""
        ...

    async def remove_finalizer(
        self, resource: Resource[T], namespace: str | None, name: str, finalizer: str
    ) -> T | None:
        """Take one finalizer off; None when the object is gone.

        Where the finalizer is off already: None, or the object as it is.
        """
        ...

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
        """DELETE; the object as it was last, or as it is while it terminates. ApiError 404, 409.

        Its resourceVersion is that of the deletion, so that a cache can be waited for. None: it is
        gone, and the server did not say at which revision (over HTTP, of most kinds).
        """
        ...

    async def bind(self, namespace: str, name: str, uid: str, node: str) -> None:
        """Assign a pod to a node (pods/binding). ApiError 409 when it is bound already."""
        ...


class Client(Reader, Watcher, Writer, Protocol):
    """All three: what most parts take."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Which streams somebody wants of a program (core/v1 PodExecOptions, PodAttachOptions)."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


class NodeRefused(ApiError):
    """What a node says instead of beginning a stream; the API server passes its words on."""


class StreamFailed(Exception):
    """A stream could not begin, or broke, after its channels were there already."""


class Session(Protocol):
    """The streams of one program, for one viewer, who closes it; as in runtime/protocol.py."""

    async def read(self, stream: str) -> bytes:
        """The next output on "stdout" or "stderr"; b"" at its end."""
        ...

    async def write(self, data: bytes) -> None:
        """Input, waiting until it is taken."""
        ...

    async def end_input(self) -> None:
        """No more input."""
        ...

    async def resize(self, width: int, height: int) -> None:
        """The terminal's size in characters."""
        ...

    async def wait(self) -> int:
        """The exit code. Raises an exception that tells why there is none."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


class Connection(Protocol):
    """A connection to a port of a pod."""

    async def read(self) -> bytes:
        """What the pod sends next; b"" at its end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send, waiting while the pod does not read. Raises ConnectionError."""
        ...

    async def end(self) -> None:
        """Nothing more will be sent."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


# What begins once the client's channels are there. Raises StreamFailed.
Opener = Callable[[], Awaitable[Session]]
Dialer = Callable[[int], Awaitable[Connection]]


class PodStreams(Protocol):
    """Logs of pods, programs in them and connections to them, wherever they run.

    Beginning a session has two steps: what can be refused is refused before the client's channels
    are made, and nothing runs before they are.
    """

    def logs(
        self, namespace: str, name: str, container: str, query: Mapping[str, Any]
    ) -> AsyncIterator[bytes]:
        """The log as the log subresource streams it. Raises ApiError."""
        ...

    async def exec(
        self,
        namespace: str,
        name: str,
        container: str,
        command: Sequence[str],
        options: StreamOptions,
    ) -> Opener:
        """Run a program in a running container. Raises ApiError, NodeRefused."""
        ...

    async def attach(
        self, namespace: str, name: str, container: str, options: StreamOptions
    ) -> Opener:
        """Attach to a running container's own program. Raises ApiError, NodeRefused."""
        ...

    async def port_forward(self, namespace: str, name: str) -> Dialer:
        """Connect to ports of a running pod. Raises ApiError, NodeRefused."""
        ...
