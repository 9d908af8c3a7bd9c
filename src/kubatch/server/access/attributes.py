"""What a request is about, as authorization sees it, and how a refusal is told.

Pure. apiserver/pkg/authorization/authorizer/interfaces.go: Attributes;
apiserver/pkg/endpoints/handlers/responsewriters/errors.go: Forbidden.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kubatch.api import errors
from kubatch.api.errors import ApiError, Details
from kubatch.server.request import RequestInfo, explained, first


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated caller, or the anonymous one."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    # What else is known, such as which credential it was; it decides nothing.
    extra: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Attributes:
    """A verb on a resource, or on a path that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""  # "" for cluster-scoped resources and for all namespaces
    name: str = ""
    path: str = ""
    is_resource: bool = True
    field_selector: str = ""  # of a list or watch; it narrows what a node asks for

    @property
    def combined(self) -> str:
        """The resource as rules name it: `pods`, or `pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def of_request(info: RequestInfo) -> Attributes:
    """What a request's URL and method ask for; whoever may read an object may ask about it."""
    info = explained(info) or info
    if not info.is_resource:
        return Attributes(info.verb, path=info.path, is_resource=False)
    return Attributes(
        info.verb or info.method.lower(),
        info.group,
        info.resource,
        info.subresource,
        info.namespace or "",
        info.name,
        field_selector=first(info.query, "fieldSelector") if info.verb in _CHOOSING else "",
    )


_CHOOSING = frozenset(("list", "watch", "deletecollection"))


def forbidden(user: User, asked: Attributes, reason: str = "") -> ApiError:
    """403, with the reason when authorization gave one."""
    if asked.is_resource:
        where = (
            f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
        )
        what = f'resource "{asked.combined}" in API group "{asked.group}" {where}'
    else:
        what = f'path "{asked.path}"'
    why = _clean(f'User "{user.name}" cannot {asked.verb} {what}')
    if reason:
        why = f"{why}: {reason}"
    if not asked.is_resource:
        return ApiError(403, "Forbidden", f"forbidden: {why}", Details())
    return errors.forbidden(asked.group, asked.resource, asked.name, why)


def _clean(text: str) -> str:
    """Markup escaped, for answers that end up in a browser (errors.go: sanitizer)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
