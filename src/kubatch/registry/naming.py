"""Names for objects that ask for one (metadata.generateName)."""

from __future__ import annotations

from typing import Any

from kubatch.api import errors
from kubatch.api.models import ObjectMeta
from kubatch.registry.shelf import Shelf
from kubatch.store.protocol import Store
from kubatch.world import World

# apiserver/pkg/registry/rest: generated names are tried this often before 409
GENERATED_NAME_TRIES = 8
# apimachinery's names.maxGeneratedNameLength: 63 less the random end
GENERATED_BASE_MAX = 58


async def free_name(store: Store, shelf: Shelf[Any], meta: ObjectMeta, world: World) -> str:
    """A name with a random end that nobody has. Raises ApiError 409."""
    base = (meta.generateName or "")[:GENERATED_BASE_MAX]
    for _ in range(GENERATED_NAME_TRIES):
        name = base + world.name_suffix()
        if await store.get(shelf.key(meta.namespace, name)) is None:
            return name
    raise errors.already_exists(shelf.resource.group, shelf.resource.plural, name)
