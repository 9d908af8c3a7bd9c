"""pods/exec and pods/attach over WebSocket and SPDY."""

from __future__ import annotations

import asyncio
import base64
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest

from kubatch.runtime.protocol import ContainerId, ContainerState
from kubatch.server.channels import Sizes
from kubatch.server.spdy.connection import Connection
from tests.unit.server.streaming import (
    DEADLINE,
    PODS,
    Spdy,
    Streaming,
    frames,
    status,
    streaming,
)

V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"
SUCCESS = b'{"metadata":{},"status":"Success"}'
FAILED = (
    b'{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: '
    b'command terminated with exit code 3","reason":"NonZeroExitCode","details":{"causes":'
    b'[{"reason":"ExitCode","message":"3"}]}}'
)
BOTH = "echo out; echo err >&2; exit 3"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Streaming]:
    async with streaming(tmp_path) as made:
        yield made


def url(*command: str, sub: str = "exec", pod: str = "p", want: str = "stdout stderr") -> str:
    query = [("command", word) for word in command] + [(name, "true") for name in want.split()]
    return f"{PODS}/{pod}/{sub}?{urlencode(query)}"


async def running_programs(world: Streaming, id: ContainerId) -> ContainerState:
    return next(c.state for c in await world.runtime.observe() if c.id == id)


# ----- what is refused before the upgrade


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (url("true", pod="nobody"), 404, 'pods "nobody" not found'),
        (url("true") + "&container=zz", 400, "container zz is not valid for pod p"),
        (url("true"), 400, "Upgrade request required"),
        (url("true", pod="free"), 400, "pod free does not have a host assigned"),
        (url(sub="attach", pod="free"), 400, "pod free does not have a host assigned"),
        (url(sub="portforward", pod="free"), 400, "pod free does not have a host assigned"),
        (url(sub="portforward"), 400, "Upgrade request required"),
    ],
)
async def test_refusals(world: Streaming, path: str, code: int, message: str) -> None:
    await world.pod()
    free = {"metadata": {"name": "free"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    await world.admin.create(PODS, free)
    for method in ("GET", "POST"):
        answer = await world.admin(method, path)
        assert (answer.status, answer.json["message"]) == (code, message)
        assert answer.json["kind"] == "Status"


UPGRADE = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        (url("true", want=""), 400, "you must specify at least 1 of stdin, stdout, stderr"),
        (url("true", want="tty stderr"), 400, "you must specify at least 1 of stdin, "),
        (url(), 400, "you must specify at least one command for the container"),
        (url("true", pod="idle"), 500, 'container not found ("c")'),
        (url(sub="attach", pod="idle"), 500, 'container not found ("c")'),
        (url(sub="portforward", pod="idle"), 500, 'pod not found ("idle_default")'),
    ],
)
async def test_refusals_of_an_upgrade(world: Streaming, path: str, code: int, text: str) -> None:
    await world.pod()
    idle = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    await world.admin.create(PODS, {"metadata": {"name": "idle"}, "spec": idle})
    answer = await world.admin("POST", path, headers=UPGRADE)
    assert answer.status == code
    assert text in answer.text
    # The node's own words are no Status: clients put them into a sentence of theirs.
    assert answer.text.startswith("{") is (code == 400)


async def test_a_protocol_that_is_not_spoken(world: Streaming) -> None:
    await world.pod()
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        async with world.websocket(url("true"), "v9.channel.k8s.io"):
            pass
    assert error.value.status == 403
    spdy = await world.spdy(url("true"), "v9.channel.k8s.io")
    assert spdy.head.startswith("HTTP/1.1 403 ")
    await spdy.close()


async def test_nothing_runs_before_the_upgrade(world: Streaming) -> None:
    """A client that is refused one protocol tries another: the program must run once."""
    await world.pod()
    marker = world.folder / "ran"
    bad = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "1"}
    answer = await world.admin("GET", url("touch", str(marker)), headers=bad)
    assert answer.status == 400
    assert not marker.exists()


# ----- WebSocket


async def test_v5_frames_are_kubernetes(world: Streaming) -> None:
    await world.pod()
    script = "cat; echo err >&2; exit 3"
    path = url("sh", "-c", script, want="stdin stdout stderr")
    async with world.websocket(path, V5, V4) as ws:
        assert ws.protocol == V5
        assert (await ws.receive()).data == b"\x01"  # the connection stands
        await ws.send_bytes(b"\0hello\n")
        assert (await ws.receive()).data == b"\x01hello\n"
        await ws.send_bytes(b"\xff\0")
        assert (await ws.receive()).data == b"\x02err\n"
        assert (await ws.receive()).data == b"\x03" + FAILED
        assert (await ws.receive()).data == 1000


@pytest.mark.parametrize("protocols", [(V4,), ("channel.k8s.io",), ()])
async def test_older_protocols(world: Streaming, protocols: tuple[str, ...]) -> None:
    await world.pod()
    async with world.websocket(url("sh", "-c", BOTH), *protocols) as ws:
        assert ws.protocol == (protocols[0] if protocols else None)
        found, code = await frames(ws)
    assert (found[1], found[2], code) == (b"out\n", b"err\n", 1000)
    if V4 in protocols:
        assert found[3] == FAILED
    else:
        assert found[3] == status(FAILED)["message"].encode()


@pytest.mark.parametrize("protocol", ["v4.base64.channel.k8s.io", "base64.channel.k8s.io"])
async def test_base64(world: Streaming, protocol: str) -> None:
    await world.pod()
    path = url("sh", "-c", "read a; echo got $a", want="stdin stdout")
    found = b""
    async with world.websocket(path, protocol) as ws:
        await ws.send_str("0" + base64.b64encode(b"it\n").decode())
        async for message in ws:
            if message.data[0] == "1":
                found += base64.b64decode(message.data[1:])
    assert found == b"got it\n"


async def test_success(world: Streaming) -> None:
    await world.pod()
    async with world.websocket(url("true"), V4) as ws:
        found, _ = await frames(ws)
    assert found == {1: b"", 3: SUCCESS}


async def test_what_nobody_asked_for_is_not_sent(world: Streaming) -> None:
    await world.pod()
    async with world.websocket(url("sh", "-c", BOTH, want="stderr"), V4) as ws:
        found, _ = await frames(ws)
    assert found == {2: b"err\n", 3: FAILED}


async def test_what_cannot_start_is_told_afterwards(world: Streaming) -> None:
    await world.pod()
    async with world.websocket(url("/nope"), V4) as ws:
        found, _ = await frames(ws)
    why = 'error executing command in container: exec: "/nope": stat /nope: '
    why += "no such file or directory"
    assert status(found[3]) == {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {why}",
        "reason": "InternalError",
        "details": {"causes": [{"message": why}]},
        "code": 500,
    }


async def test_a_terminal(world: Streaming) -> None:
    await world.pod()
    path = url("sh", "-c", "read a; stty size", want="stdin stdout stderr tty")
    async with world.websocket(path, V5) as ws:
        await ws.send_bytes(b'\x04{"Width":120,"Height":30}\n')
        await ws.send_bytes(b"\0go\n")
        found, _ = await frames(ws)
    assert found == {1: b"go\r\n30 120\r\n", 3: SUCCESS}


async def test_nonsense_is_passed_over(world: Streaming) -> None:
    await world.pod()
    async with world.websocket(url("cat", want="stdin stdout"), V5) as ws:
        for message in (b"", b"\xff", b"\xff\x09", b"\x63what", b"\x04nonsense", b"\x01out"):
            await ws.send_bytes(message)
        await ws.send_str("\0text\n")  # the Python client sends text so
        await ws.send_bytes(b"\xff\0")
        found, _ = await frames(ws)
    assert found == {1: b"text\n", 3: SUCCESS}


async def test_pings_are_answered(world: Streaming) -> None:
    await world.pod()
    async with world.websocket(url("cat", want="stdin stdout"), V5) as ws:
        await ws.receive()
        for _ in range(3):
            await ws.ping(b"x")
        await ws.send_bytes(b"\0after\n")
        assert (await ws.receive()).data == b"\x01after\n"


async def test_a_client_that_leaves_ends_its_program(world: Streaming) -> None:
    await world.pod()
    async with world.websocket(url("sh", "-c", "echo $$; exec sleep 1000"), V5) as ws:
        await ws.receive()
        pid = int((await ws.receive()).data[1:])
    async with asyncio.timeout(DEADLINE):
        while Path(f"/proc/{pid}").exists():  # noqa: ASYNC110  # the kernel does not tell us
            await asyncio.sleep(0.005)


async def test_silence_ends_a_session(tmp_path: Path) -> None:
    async with streaming(tmp_path, stream_idle_timeout=0.1) as world:
        await world.pod()
        async with world.websocket(url("sleep", "1000"), V5) as ws:
            found, code = await frames(ws)
        assert (found, code) == ({1: b""}, 1000)


async def test_a_server_that_stops_ends_sessions(tmp_path: Path) -> None:
    async with streaming(tmp_path) as world:
        await world.pod()
        async with world.websocket(url("sleep", "1000"), V5) as ws:
            await ws.receive()
            stopping = asyncio.create_task(world.running.server.stop())
            await frames(ws)
            await stopping


# ----- attach


async def test_attach(world: Streaming) -> None:
    id = await world.pod("p", "sh", "-c", "read a; echo got $a; exit 3", stdin=True)
    async with world.websocket(url(sub="attach", want="stdin stdout stderr"), V5) as ws:
        await ws.send_bytes(b"\0it\n")
        found, _ = await frames(ws)
    # The program's exit code is the pod's business, not that of who looks on.
    assert found == {1: b"got it\n", 3: SUCCESS}
    assert await running_programs(world, id) is ContainerState.EXITED


async def test_leaving_an_attached_container_leaves_it_running(world: Streaming) -> None:
    id = await world.pod("p", "cat", stdin=True)
    for _ in range(2):
        async with world.websocket(url(sub="attach", want="stdin stdout"), V5) as ws:
            await ws.receive()
            await ws.send_bytes(b"\0it\n")
            assert (await ws.receive()).data == b"\x01it\n"
            await ws.send_bytes(b"\xff\0")  # the input is not for once
    assert await running_programs(world, id) is ContainerState.RUNNING


# ----- SPDY


async def opened(spdy: Spdy, *names: str) -> dict[str, int]:
    return {name: await spdy.open(streamtype=name) for name in names}


async def test_spdy_exec(world: Streaming) -> None:
    await world.pod()
    path = url("sh", "-c", "cat; echo err >&2; exit 3", want="stdin stdout stderr")
    spdy = await world.spdy(path, V4, "v3.channel.k8s.io", "channel.k8s.io")
    assert spdy.head.startswith("HTTP/1.1 101 Switching Protocols\r\n")
    assert "\r\nUpgrade: SPDY/3.1\r\n" in spdy.head
    assert f"\r\nX-Stream-Protocol-Version: {V4}\r\n" in spdy.head
    streams = await opened(spdy, "error", "stdin", "stdout", "stderr")
    spdy.send(streams["stdin"], b"hello\n", fin=True)
    await spdy.until(lambda: spdy.said_goodbye)
    assert spdy.received == {
        streams["stdout"]: b"hello\n",
        streams["stderr"]: b"err\n",
        streams["error"]: FAILED.replace(b'"metadata":{},', b""),
    }
    assert {streams[name] for name in ("stdout", "stderr", "error")} <= spdy.ended
    await spdy.end()


@pytest.mark.parametrize("protocols", [("channel.k8s.io",), ()])
async def test_spdy_exec_of_old_clients(world: Streaming, protocols: tuple[str, ...]) -> None:
    await world.pod()
    spdy = await world.spdy(url("sh", "-c", BOTH, want="stdout"), *protocols)
    streams = await opened(spdy, "error", "stdout")
    await spdy.until(lambda: spdy.said_goodbye)
    assert spdy.received[streams["error"]] == status(FAILED)["message"].encode()
    await spdy.end()


async def test_spdy_terminal(world: Streaming) -> None:
    await world.pod()
    path = url("sh", "-c", "read a; stty size", want="stdin stdout tty")
    spdy = await world.spdy(path, V4)
    streams = await opened(spdy, "error", "stdin", "stdout", "resize")
    for piece in (b'{"Width":', b'90,"Height":20}\n{"Width":120,"Hei', b'ght":30}\n'):
        spdy.send(streams["resize"], piece)
    spdy.send(streams["stdin"], b"go\n")
    await spdy.until(lambda: spdy.said_goodbye)
    assert spdy.received[streams["stdout"]] in (b"go\r\n30 120\r\n", b"go\r\n20 90\r\n")
    await spdy.end()


async def test_spdy_streams_of_no_type_are_refused(world: Streaming) -> None:
    await world.pod()
    spdy = await world.spdy(url("echo", "hi", want="stdout"), V4)
    await spdy.open(streamtype="nonsense")
    await spdy.until(lambda: spdy.aborted == {1})
    streams = await opened(spdy, "error", "stdout")
    await spdy.until(lambda: spdy.said_goodbye)
    assert spdy.received[streams["stdout"]] == b"hi\n"
    await spdy.end()


async def test_spdy_waits_only_so_long_for_streams(tmp_path: Path) -> None:
    async with streaming(tmp_path, stream_creation_timeout=0.1) as world:
        await world.pod()
        marker = tmp_path / "ran"
        spdy = await world.spdy(url("touch", str(marker)), V4)
        await spdy.open(streamtype="error")
        await spdy.until(lambda: spdy.said_goodbye)
        await spdy.end()
        assert not marker.exists()


async def test_spdy_nonsense_ends_the_connection(world: Streaming) -> None:
    await world.pod()
    spdy = await world.spdy(url("sleep", "1000", want="stdin stdout"), V4)
    await opened(spdy, "error", "stdin", "stdout")
    spdy.write(b"\x80\x09\0\0\0\0\0\0")
    await spdy.until(lambda: spdy.said_goodbye)
    await spdy.end()
    assert (await world.admin("GET", f"{PODS}/p")).status == 200


@pytest.mark.slow
async def test_spdy_input_that_nobody_reads_is_bounded(world: Streaming) -> None:
    await world.pod()
    path = url("sleep", "1000", want="stdin stdout")
    sent = await asyncio.to_thread(fill, world, path)
    assert sent < 24 << 20  # which is in the sockets' buffers, and a little of it here


def fill(world: Streaming, path: str) -> int:
    """Send input until no more is taken; how much was."""
    server, connection = world.running.server, Connection(client=True)
    names = ("error", "stdin", "stdout")
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    head += f"X-Stream-Protocol-Version: {V4}\r\nContent-Length: 0\r\n\r\n"
    sent = 0
    with (
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        world.running.tls().wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(head.encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
        for name in names:
            client.sendall(connection.open({"streamtype": name})[1])
        client.settimeout(0.5)
        try:
            while sent < 64 << 20:
                client.sendall(connection.send(3, bytes(64 * 1024)))
                sent += 64 * 1024
        except TimeoutError:
            pass
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return sent


# ----- sizes


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((b'{"Width":1,"Height":2}',), [(1, 2)]),
        ((b'{"Width":1,"Height":2}\n{"Width":3,"Height":4}\n',), [(1, 2), (3, 4)]),
        ((b'{"Wid', b'th":1,"Hei', b'ght":2}'), [(1, 2)]),
        ((b"nonsense", b'{"Width":1,"Height":2}'), [(1, 2)]),
        ((b'{"Width":-1,"Height":2}{"Width":70000,"Height":2}{"Width":"a","Height":2}',), []),
        ((b"[1]", b"{}", b"\xff\xfe", b'{"Width":5,"Height":6}'), [(5, 6)]),
        ((b"{" * 5000, b'{"Width":5,"Height":6}'), [(5, 6)]),
    ],
)
def test_sizes(pieces: tuple[bytes, ...], expected: list[tuple[int, int]]) -> None:
    sizes = Sizes()
    assert [size for piece in pieces for size in sizes.feed(piece)] == expected
