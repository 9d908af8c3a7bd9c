"""The certificate of the API server in every namespace."""

from __future__ import annotations

from typing import Any

from kubatch.api.models import ConfigMap, Namespace, NamespaceStatus, ObjectMeta
from kubatch.api.resource import CONFIGMAPS
from kubatch.controllers import rootca
from kubatch.reconcile.controller import Key
from kubatch.world import World
from tests.suites.engine import engine
from tests.suites.virtual_time import virtual_time
from tests.unit.controllers.static_view import StaticView

CA = "-----BEGIN CERTIFICATE-----"
NOW = World().now()


def space(phase: str = "Active") -> Namespace:
    return Namespace(metadata=ObjectMeta(name="d"), status=NamespaceStatus(phase=phase))


def held(data: dict[str, str], annotation: str | None = "a bundle") -> ConfigMap:
    annotations = {rootca.ANNOTATION: annotation} if annotation else None
    meta = ObjectMeta(name=rootca.NAME, namespace="d", annotations=annotations)
    return ConfigMap(metadata=meta, data=data)


def writes(*objects: Any) -> list[Any]:
    facts = rootca.read(StaticView(*objects), Key("", "d"), CA)
    assert facts is not None
    return [w for stage in rootca.decide(facts, NOW).stages for w in stage.writes]


def test_it_is_created() -> None:
    (create,) = writes(space())
    assert create.obj.data == {"ca.crt": CA}
    assert create.obj.metadata.annotations[rootca.ANNOTATION].startswith("Contains a CA bundle")


def test_it_is_left_alone_while_it_is_right() -> None:
    assert writes(space(), held({"ca.crt": CA})) == []


def test_it_is_restored() -> None:
    (patch,) = writes(space(), held({"ca.crt": "other", "more": "x"}))
    assert patch.patch["data"] == {"ca.crt": CA, "more": None}
    (patch,) = writes(space(), held({"ca.crt": CA}, annotation=None))
    assert rootca.ANNOTATION in patch.patch["metadata"]["annotations"]


def test_a_namespace_that_is_going_gets_none() -> None:
    assert rootca.read(StaticView(space("Terminating")), Key("", "d"), CA) is None
    assert rootca.read(StaticView(), Key("", "d"), CA) is None


@virtual_time
async def test_in_the_real_engine() -> None:
    async with engine(rootca.controller(CA)) as on:
        await on.until(lambda: on.caches.get(CONFIGMAPS, "default", rootca.NAME))
        await on.client.delete(CONFIGMAPS, "default", rootca.NAME)
        await on.quiet()
        again = await on.client.get(CONFIGMAPS, "default", rootca.NAME)
        await on.client.patch(
            CONFIGMAPS, "default", rootca.NAME, {"data": {"ca.crt": "x", "y": "z"}}
        )
        await on.quiet()
        assert (await on.client.get(CONFIGMAPS, "default", rootca.NAME)).data == again.data
