"""Events of this process's own making: many at a time, in one commit.

They pass the rules that any event passes, but nothing is looked up, copied or answered for each of
them: half of all writes of a busy server are events, and hardly any is ever read. What is stored
has no decoded form beside its bytes for the same reason; whoever reads it decodes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubatch.api import codec, errors
from kubatch.api.errors import ApiError
from kubatch.api.models import Namespace
from kubatch.api.resource import NAMESPACES
from kubatch.registry import namespaces, preparing
from kubatch.registry.lookup import Lookup
from kubatch.registry.metadata import validate_metadata
from kubatch.registry.shelf import Shelf
from kubatch.store.protocol import Store, StoreUnavailable, Value
from kubatch.world import World

Spaces = dict[str, Namespace | None]


async def write(
    store: Store, shelf: Shelf[Any], lookup: Lookup, world: World, events: Sequence[Any]
) -> list[ApiError | None]:
    """Store events, which become the registry's; for each of them, why it was refused."""
    answers: list[ApiError | None] = [None] * len(events)
    spaces = await _spaces(lookup, events)
    numbers: list[int] = []
    values: list[tuple[str, Value]] = []
    for number, event in enumerate(events):
        try:
            values.append(_prepared(shelf, world, event, spaces))
            numbers.append(number)
        except ApiError as error:
            answers[number] = error
    try:
        revisions = await store.create_all(values)
    except StoreUnavailable as error:
        for number in numbers:
            answers[number] = errors.internal(str(error))
        return answers
    # As after any create: a namespace that began to end meanwhile sees the event, or takes none.
    spaces = await _spaces(lookup, events)
    for number, (key, _), revision in zip(numbers, values, revisions, strict=True):
        meta = events[number].metadata
        if revision is None:
            answers[number] = errors.already_exists(
                shelf.resource.group, shelf.resource.plural, meta.name
            )
            continue
        try:
            namespaces.admit(shelf.resource, meta, spaces[meta.namespace])
        except ApiError as error:
            await namespaces.withdraw(store, key, revision)
            answers[number] = error
    return answers


async def _spaces(lookup: Lookup, events: Sequence[Any]) -> Spaces:
    names = {event.metadata.namespace or "default": None for event in events}
    spaces: Spaces = {}
    for name in names:
        found = await lookup.find(NAMESPACES, None, name)
        spaces[name] = found
    return spaces


def _prepared(shelf: Shelf[Any], world: World, event: Any, spaces: Spaces) -> tuple[str, Value]:
    """An event's key and what is stored there. Raises ApiError 403, 404, 422."""
    strategy, resource, meta = shelf.strategy, shelf.resource, event.metadata
    preparing.place(resource, None, meta)
    namespaces.admit(resource, meta, spaces[meta.namespace])
    preparing.stamp(strategy, meta, world)
    strategy.default(event)
    strategy.prepare_create(event)
    causes = validate_metadata(meta, strategy) + strategy.validate_create(event)
    if causes:
        raise errors.invalid(resource.group, resource.kind, meta.name or "", causes)
    return shelf.key(meta.namespace, meta.name), Value(codec.encode(shelf.stored_form(event)))
