"""Long lists: sent in pieces, in any form a client likes, while others are served."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Sequence

import aiohttp
import pytest

from kubatch.api import codec
from kubatch.api.resource import CONFIGMAPS
from kubatch.registry.values import Page, Selected
from kubatch.server import tables
from kubatch.server.pieces import SHORT_BYTES_MAX, Pieces
from kubatch.store.protocol import Record, Value
from tests.unit.server.conftest import Client, Running
from tests.unit.server.test_reading import MAPS, config_map


def _records(sizes: Sequence[int]) -> list[Record]:
    return [
        Record(f"/configmaps/default/m{i}", Value(b'{"metadata":{"name":"%b"}}' % (b"x" * size)), i)
        for i, size in enumerate(sizes, 5)
    ]


def _selected(records: Sequence[Record]) -> Selected:
    return Selected(records, lambda r: r.value.data, 90, "token", 3)


@pytest.mark.parametrize(
    ("sizes", "pieces"),
    [
        ([], 1),
        ([1], 1),
        ([1, 2, 3], 1),
        ([200], 2),  # the last one is the end alone
        ([200, 1], 2),
        ([30, 30, 200, 1, 200, 200], 4),
    ],
)
def test_pieces_together_are_the_list(sizes: Sequence[int], pieces: int) -> None:
    records = _records(sizes)
    made = list(tables.list_pieces(CONFIGMAPS, _selected(records), 200))
    found = json.loads(b"".join(made))
    assert found["kind"] == "ConfigMapList"
    assert found["metadata"] == {
        "resourceVersion": "90",
        "continue": "token",
        "remainingItemCount": 3,
    }
    assert found["items"] == [
        json.loads(codec.wire_item(r.value.data, r.revision)) for r in records
    ]
    assert len(made) == pieces
    assert all(len(piece) >= 200 for piece in made[:-1])


def test_a_page_that_was_decoded_is_written_alike() -> None:
    empty: Page[object] = Page([], 90, "token", 3)
    assert tables.list_json(CONFIGMAPS, empty) == b"".join(
        tables.list_pieces(CONFIGMAPS, _selected([]))
    )


def test_what_is_short_is_sent_whole() -> None:
    assert Pieces(iter([b"a", b"b"])).whole_if_short() == b"ab"
    half = b"x" * (SHORT_BYTES_MAX // 2)
    assert Pieces(iter([half, half])).whole_if_short() == half + half
    long = Pieces(iter([half, half, b"y", b"z"]))
    assert long.whole_if_short() is None
    assert long.whole() == half + half + b"yz"


@pytest.fixture
async def many(admin: Client) -> int:
    count = 8
    for i in range(count):
        await admin.create(MAPS, config_map(f"m{i}", k=f"{i}" * 60_000))
    return count


async def test_a_long_list_in_every_form(running: Running, admin: Client, many: int) -> None:
    plain = await admin("GET", MAPS, headers={"Accept-Encoding": "identity"})
    assert plain.headers["Transfer-Encoding"] == "chunked"
    assert plain.headers["Content-Type"] == "application/json"
    assert plain.body.endswith(b"]}\n")
    assert [i["metadata"]["name"] for i in plain.json["items"]] == [f"m{i}" for i in range(many)]
    pretty = await admin("GET", f"{MAPS}?pretty=true", headers={"Accept-Encoding": "identity"})
    assert pretty.body.startswith(b'{\n  "kind": "ConfigMapList"')
    assert pretty.json == plain.json
    yaml = await admin("GET", MAPS, headers={"Accept": "application/yaml"})
    assert yaml.text.startswith("apiVersion: v1\nitems:\n")
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        url, headers = admin.url + MAPS, {"Accept-Encoding": "gzip"}
        async with session.get(url, ssl=running.tls(), headers=headers) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(await response.read()) == plain.body


async def test_a_client_that_knows_no_chunks_gets_it_whole(
    running: Running, admin: Client, many: int
) -> None:
    chunked = await admin("GET", MAPS, headers={"Accept-Encoding": "identity"})
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", running.server.port, ssl=running.tls()
    )
    writer.write(f"GET {MAPS} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
    writer.close()
    assert b"200 OK" in head
    assert b"chunked" not in head
    assert body == chunked.body


async def test_others_are_served_while_a_list_waits_for_its_reader(
    running: Running, admin: Client, many: int
) -> None:
    for i in range(40):
        await admin.create(MAPS, config_map(f"n{i:02}", k="x" * 90_000))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", running.server.port, ssl=running.tls(), limit=2**14
    )
    writer.write(f"GET {MAPS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    assert (await admin("GET", f"{MAPS}/m0")).status == 200
    writer.transport.abort()  # and who leaves in the middle leaves nothing behind
    assert (await admin("GET", f"{MAPS}/m1")).status == 200
