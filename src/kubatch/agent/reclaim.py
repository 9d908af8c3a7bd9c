"""Making room on a full disk: what ended pods still have there goes before any other pod has to.

pkg/kubelet/eviction/eviction_manager.go: reclaimNodeLevelResources, by way of
kuberuntime_gc.go: evictContainers, which takes the logs of dead containers along.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from kubatch.agent.prepare import pod_log_directory
from kubatch.agent.record import PodRecord
from kubatch.agent.status import is_terminal
from kubatch.runtime.protocol import ContainerState


def leftovers(logs: Path, records: Iterable[PodRecord]) -> list[Path]:
    """The log directories of pods of which nothing runs, nor ever will."""
    found = []
    for record in records:
        pod = record.pod
        if pod is None or pod.metadata is None or not _has_ended(record):
            continue
        meta = pod.metadata
        found.append(
            pod_log_directory(logs, meta.namespace or "default", meta.name or "", record.uid)
        )
    return found


def remove(directories: Iterable[Path]) -> None:
    """Remove them, as far as that is possible; blocks."""
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _has_ended(record: PodRecord) -> bool:
    """That it ended may not show yet: on a full disk the API cannot write it down."""
    if any(a.state is ContainerState.RUNNING for a in record.attempts.values()):
        return False
    phase = record.pod.status.phase if record.pod and record.pod.status else ""
    return is_terminal(phase or "") or (record.memory.verdict is not None and bool(record.attempts))
