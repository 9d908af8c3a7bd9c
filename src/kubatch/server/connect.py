"""The subresources of pods that take the connection over: which there are, and how they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubatch.client.protocol import NodeRefused, PodStreams
from kubatch.server.commands import attach, execute
from kubatch.server.forwards import forward
from kubatch.server.replies import Call, Reply, Upgrade, text_reply
from kubatch.settings import Settings

if TYPE_CHECKING:
    from kubatch.registry.api import Registry

BEGIN = {"attach": attach, "exec": execute, "portforward": forward}


async def begin(
    call: Call, registry: Registry, streams: PodStreams, settings: Settings
) -> Reply | Upgrade:
    """What the subresource answers. Raises ApiError 400, 404."""
    try:
        return await BEGIN[call.info.subresource](call, registry, streams, settings)
    except NodeRefused as error:
        # A node's words come through as they are, which clients show in a sentence of their own
        # (kubelet/pkg/cri/streaming/errors.go: WriteError).
        return text_reply(error.message, error.code)
