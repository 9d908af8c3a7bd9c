"""pods/ephemeralcontainers and pods/resize."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.models import Pod
from kubatch.api.resource import PODS
from tests.unit.registry.kinds.making import decode, merged, new_pod, rules, texts

DEBUG = {"name": "debug", "image": "busybox"}


def part(name: str, old: Pod, **spec: Any) -> tuple[Pod, list[str]]:
    """What a write of a part stores, and what is wrong with it."""
    new = decode(PODS, merged(codec.to_dict(PODS, old), {"spec": spec}))
    rules(PODS).prepare_part(name, new, old)
    return new, texts(rules(PODS).validate_part(name, new, old))


def debugged(*containers: dict[str, Any]) -> Pod:
    made, errors = part("ephemeralcontainers", new_pod(), ephemeralContainers=list(containers))
    assert errors == []
    return made


def test_ephemeral_containers_are_added_and_nothing_else_changes() -> None:
    old = new_pod()
    new, errors = part(
        "ephemeralcontainers", old, ephemeralContainers=[DEBUG], hostname="other", containers=[]
    )
    assert errors == []
    assert new.spec is not None
    assert old.spec is not None
    assert new.spec.containers == old.spec.containers
    assert new.spec.hostname is None
    (added,) = new.spec.ephemeralContainers or []
    assert (added.name, added.imagePullPolicy) == ("debug", "Always")


@pytest.mark.parametrize(
    ("containers", "errors"),
    [
        ([DEBUG], []),
        ([DEBUG, {**DEBUG, "name": "more"}], []),
        (
            [],
            [
                "spec.ephemeralContainers: Forbidden: existing ephemeral containers "
                '"debug" may not be removed\n'
            ],
        ),
        (
            [{**DEBUG, "command": ["sh"]}],
            [
                "spec.ephemeralContainers: Forbidden: existing ephemeral containers "
                '"debug" may not be changed\n+ spec.command: ["sh"]'
            ],
        ),
        (
            [DEBUG, {**DEBUG, "name": "c"}],
            ['spec.ephemeralContainers[1].name: Duplicate value: "c"'],
        ),
    ],
)
def test_ephemeral_containers_only_come(containers: list[Any], errors: list[str]) -> None:
    old = debugged(DEBUG)
    assert part("ephemeralcontainers", old, ephemeralContainers=containers)[1] == errors


def test_a_resize_must_change_nothing() -> None:
    old = new_pod()
    same, errors = part("resize", old, hostname="other")
    assert (same.spec, errors) == (old.spec, [])
    container = {"name": "c", "image": "busybox", "resources": {"requests": {"cpu": "1"}}}
    assert part("resize", old, containers=[container])[1] == [
        "[]: Forbidden: Pod running on node without support for resize"
    ]
