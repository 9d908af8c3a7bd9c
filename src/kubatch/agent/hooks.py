"""Running postStart and preStop hooks (pkg/kubelet/lifecycle/handlers.go: handlerRunner)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

from kubatch.agent import http_get
from kubatch.agent.checks import CannotAsk, http_request, run
from kubatch.api import models as m
from kubatch.runtime.protocol import ContainerId, Runtime

USER_AGENT = "kube-lifecycle/1.36"

Warn = Callable[[str, str], None]  # reason and message of an event about the pod


async def run_hook(
    runtime: Runtime,
    handler: m.LifecycleHandler,
    container: m.Container,
    id: ContainerId,
    pod: str,
    address: str,
    warn: Warn,
) -> str | None:
    """Run a hook to its end; what went wrong. `pod` is its name as messages have it."""
    where = f'for Container "{container.name}" in Pod "{pod}" failed - error:'
    if handler.exec is not None:
        return await _run(runtime, handler.exec.command or [], id, where)
    if handler.httpGet is not None:
        try:
            await _get(handler.httpGet, container, address, warn)
        except (CannotAsk, http_get.RequestFailed) as error:
            return f"HTTP lifecycle hook ({handler.httpGet.path or '/'}) {where} {error}"
        return None
    if handler.sleep is not None:
        await asyncio.sleep(handler.sleep.seconds)
        return None
    return "invalid handler: neither exec, httpGet nor sleep"


async def _run(runtime: Runtime, argv: list[str], id: ContainerId, where: str) -> str | None:
    output = ""
    try:
        ran = await run(runtime, id, argv)
        if ran.code == 0:
            return None
        output = ran.output
        # cri-client/pkg/remote_runtime.go: ExecSync
        why = f"command '{' '.join(argv)}' exited with {ran.code}: {ran.errors}"
    except CannotAsk as error:
        why = str(error)
    shown = json.dumps(output, ensure_ascii=False)
    return f"Exec lifecycle hook ([{' '.join(argv)}]) {where} {why}, message: {shown}"


async def _get(
    action: m.core_v1.HTTPGetAction, container: m.Container, address: str, warn: Warn
) -> None:
    """Any answer will do, and one in the clear where TLS was asked for too: it once was so."""
    asked = http_request(action, container, address, USER_AGENT)
    try:
        await http_get.get(asked)
    except http_get.NotHttps as error:
        warn("LifecycleHTTPFallback", f"request to HTTPS lifecycle hook got HTTP response, "
             f"retrying with HTTP: {error}")  # fmt: skip
        secrets = {name: v for name, v in asked.headers.items() if name != "Authorization"}
        plain = replace(asked, url="http" + asked.url.removeprefix("https"), headers=secrets)
        await http_get.get(plain)
