"""What the process tells about itself: why objects are where they are, and what it counts.

GET /kubatch.dev/v1/explain/GROUP/RESOURCE[/NAMESPACE]/NAME, the core group being `core`: whoever
may read an object may ask why (see explained(), by which authorization sees such a request).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kubatch.api import errors
from kubatch.api import resource as table
from kubatch.api.resource import Resource
from kubatch.meters import Meters
from kubatch.server.consumption import Consumption
from kubatch.server.replies import Reply, json_reply
from kubatch.server.request import RequestInfo

if TYPE_CHECKING:
    from kubatch.registry.api import Registry

API_VERSION = "kubatch.dev/v1"


@dataclass(frozen=True, slots=True)
class Why:
    """One part's last decision about an object, in words."""

    by: str
    because: str
    at: datetime
    wake_at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    retry_at: datetime | None = None
    earlier: Sequence[tuple[datetime, str]] = ()


# The decisions about one object: its resource, namespace, name and uid.
Explain = Callable[[Resource[Any], str, str, str], Sequence[Why]]


def _nothing(*_: object) -> Sequence[Why]:
    return ()


@dataclass(frozen=True)
class Insight:
    """What a server shows of the process it is in."""

    meters: Meters = field(default_factory=Meters)
    explain: Explain = _nothing
    consumption: Callable[[], Consumption | None] = lambda: None  # None: nobody looks


async def answer(about: RequestInfo, registry: Registry, explain: Explain) -> Reply:
    """The decisions about an object. Raises ApiError 404."""
    resource = next(
        (r for r in table.RESOURCES if (r.group, r.plural) == (about.group, about.resource)), None
    )
    if resource is None or resource.namespaced == (about.namespace is None):
        raise errors.no_such_resource()
    obj = (await registry.get(resource, about.namespace, about.name)).obj
    reasons = explain(resource, about.namespace or "", about.name, obj.metadata.uid)
    metadata = {"name": about.name, "uid": obj.metadata.uid}
    if about.namespace:
        metadata["namespace"] = about.namespace
    return json_reply(
        {
            "kind": "Explanation",
            "apiVersion": API_VERSION,
            "metadata": metadata,
            "decisions": [_wire(why) for why in reasons],
        }
    )


def _wire(why: Why) -> dict[str, Any]:
    shown = {
        "by": why.by,
        "because": why.because,
        "at": _time(why.at),
        "wakeAt": _time(why.wake_at),
        "facts": dict(why.facts),
        "error": why.error,
        "retryAt": _time(why.retry_at),
        "earlier": [{"at": _time(at), "because": because} for at, because in why.earlier],
    }
    return {name: value for name, value in shown.items() if value not in (None, "", {}, [])}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
