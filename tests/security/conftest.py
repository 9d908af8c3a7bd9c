"""A server that has something to hide."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.security.survey import MARKER, PLANTED
from tests.unit.server.secured import Secured, secured


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Secured]:
    """With roles, and with objects that hold the marker."""
    async with secured(tmp_path) as made:
        base = "/api/v1/namespaces/default"
        meta = {"name": PLANTED, "annotations": {"a": MARKER}}
        spec: dict[str, Any] = {"containers": [{"name": "c", "image": "busybox"}]}
        pod = {"metadata": meta, "spec": spec}
        template = {"spec": {**spec, "restartPolicy": "Never"}}
        job = {"metadata": meta, "spec": {"template": template}}
        for path, body in (
            (f"{base}/secrets", {"metadata": meta, "data": {"a": MARKER}}),
            (f"{base}/configmaps", {"metadata": meta, "data": {"a": MARKER}}),
            (f"{base}/pods", pod),
            ("/apis/batch/v1/namespaces/default/jobs", job),
        ):
            answer = await made.root("POST", path, body)
            assert answer.status == 201, answer.text
        yield made
