"""kubernetes_asyncio: a Job watched until it is complete, and its log."""

from __future__ import annotations

import asyncio
from typing import Any

from kubernetes_asyncio import client, config, watch

NAMESPACE = "default"
JOB: Any = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "asyncio"},
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "c", "image": "busybox", "command": ["echo", "hello"]}],
            }
        }
    },
}


async def main() -> None:
    await config.load_kube_config()
    async with client.ApiClient() as api:
        batch, core = client.BatchV1Api(api), client.CoreV1Api(api)
        await batch.create_namespaced_job(NAMESPACE, JOB)
        async with watch.Watch().stream(
            batch.list_namespaced_job, NAMESPACE, field_selector="metadata.name=asyncio",
            timeout_seconds=30,
        ) as events:  # fmt: skip
            async for event in events:
                if event["object"].status.succeeded:
                    break
        pods = await core.list_namespaced_pod(NAMESPACE, label_selector="job-name=asyncio")
        log = await core.read_namespaced_pod_log(pods.items[0].metadata.name, NAMESPACE)
        assert log == "hello\n", log
        await batch.delete_namespaced_job("asyncio", NAMESPACE, propagation_policy="Foreground")
    print("all is well")


asyncio.run(main())
