"""Run a Job from Python, with the official client: create it, wait for it, read its log.

    pip install kubernetes
    export KUBECONFIG=...     # the line that `kubatch up` prints
    python examples/client/client.py

Nothing in here is particular to kubatch: the same program runs against any Kubernetes.
"""

from __future__ import annotations

import sys
import time

from kubernetes import client, config

NAMESPACE = "default"
SECONDS_MAX = 60
PROGRAM = "print('6 times 7 is', 6 * 7)"


def job() -> client.V1Job:
    """A Job of one container which is not tried again when it fails."""
    container = client.V1Container(
        name="answer", image="python:3.12", command=["python3", "-c", PROGRAM]
    )
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels={"example": "client"}),
        spec=client.V1PodSpec(containers=[container], restart_policy="Never"),
    )
    return client.V1Job(
        metadata=client.V1ObjectMeta(generate_name="answer-"),
        spec=client.V1JobSpec(template=template, backoff_limit=0, ttl_seconds_after_finished=600),
    )


def wait(batch: client.BatchV1Api, name: str) -> bool:
    """Whether the Job succeeded, once it is over."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        status = batch.read_namespaced_job_status(name, NAMESPACE).status
        if status.succeeded:
            return True
        if any(c.type == "Failed" and c.status == "True" for c in status.conditions or ()):
            return False
        time.sleep(0.1)
    return False


def main() -> int:
    """Create the Job, wait, and print what its pod wrote."""
    config.load_kube_config()
    batch, core = client.BatchV1Api(), client.CoreV1Api()
    name = batch.create_namespaced_job(NAMESPACE, job()).metadata.name
    print("created", name)
    succeeded = wait(batch, name)
    for pod in core.list_namespaced_pod(NAMESPACE, label_selector=f"job-name={name}").items:
        print(core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE), end="")
    print("succeeded" if succeeded else "failed")
    return 0 if succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
