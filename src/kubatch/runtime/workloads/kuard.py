"""A stand-in for the kuard demo image: the same flags and work-queue API, none of its code.

Two ways to run. With --keygen-enable it is a batch workload: it makes a number of "keys" and
prints a line for each, or takes its work from a queue server. Otherwise it serves HTTP, and is that
queue server itself, under /memq/server.

A key here is random bytes in the wire form of an SSH RSA key, and its SHA256 fingerprint looks
like a real one. It is not a key: the standard library cannot make a pair, and nobody uses it.

Runs as `python -S -E kuard.py FLAGS`, standard library only. Heavy modules (typing and dataclasses
among them) are imported where they are needed: a short workload should take no longer to start than
the interpreter does.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import sys
import threading
import time
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BODY_BYTES_MAX = 1 << 20
_STATS = "/memq/server/stats"
_QUEUES = "/memq/server/queues/"


# Flags, in the style of Go programs: one or two dashes, "=value" or the next word.

_SWITCHES = ("keygen-enable", "keygen-exit-on-complete")
_VALUES = {
    "keygen-num-to-gen": "0",
    "keygen-exit-code": "0",
    "keygen-time-to-run": "0",
    "keygen-memq-server": "",
    "keygen-memq-queue": "",
    "address": ":8080",
}


class UsageError(Exception):
    """The flags make no sense."""


class Options:
    """The flags, read."""

    def __init__(self, switches: dict[str, bool], values: dict[str, str]) -> None:
        self.keygen = switches["keygen-enable"]
        self.exit_on_complete = switches["keygen-exit-on-complete"]
        self.count = int(values["keygen-num-to-gen"])  # 0: no end
        self.exit_code = int(values["keygen-exit-code"])
        self.seconds = float(values["keygen-time-to-run"])  # 0: no limit
        self.memq_server = values["keygen-memq-server"]
        self.memq_queue = values["keygen-memq-queue"]
        self.address = values["address"]


def parse(words: list[str]) -> Options:
    """Read the flags."""
    switches = dict.fromkeys(_SWITCHES, False)
    values = dict(_VALUES)
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        key = name.removeprefix("-").removeprefix("-")
        if key == name:
            raise UsageError(f"unexpected argument {word!r}")
        if key in switches:
            if equals and value not in ("true", "false"):
                raise UsageError(f"invalid value {value!r} for {name}")
            switches[key] = value != "false"
        elif key in values:
            given = value if equals else next(rest, None)
            if given is None:
                raise UsageError(f"flag needs an argument: {name}")
            values[key] = given
        else:
            raise UsageError(f"unknown flag: {name}")
    try:
        return Options(switches, values)
    except ValueError as error:
        raise UsageError(str(error)) from None


def log(text: str) -> None:
    """Print a line with the time, as Go's log package does."""
    print(time.strftime("%Y/%m/%d %H:%M:%S"), text, flush=True)


def fingerprint() -> str:
    """The SHA256 fingerprint of fresh random bytes in the shape of an SSH public key."""
    modulus = b"\0" + bytes([os.urandom(1)[0] | 0x80]) + os.urandom(255)
    blob = b"".join(
        len(part).to_bytes(4, "big") + part for part in (b"ssh-rsa", b"\x01\x00\x01", modulus)
    )
    digest = binascii.b2a_base64(hashlib.sha256(blob).digest()).decode().rstrip("=\n")
    return f"SHA256:{digest}"


# The batch workload


def work(options: Options) -> None:
    """Do the keygen work to its end."""
    deadline = time.monotonic() + options.seconds if options.seconds else None
    log("(ID 0) Workload starting")
    if options.memq_server:
        _work_from_queue(options, deadline)
    else:
        total = f"/{options.count}" if options.count else ""
        number = 0
        while not (options.count and number >= options.count) and not _over(deadline):
            number += 1
            log(f"(ID 0 {number}{total}) Item done: {fingerprint()}")
    log("(ID 0) Workload exiting")


def _work_from_queue(options: Options, deadline: float | None) -> None:
    number = 0
    while not _over(deadline) and not (options.count and number >= options.count):
        item = _dequeue(options.memq_server, options.memq_queue)
        if item is None:
            log("(ID 0) Queue is empty")
            if options.exit_on_complete:
                return
            time.sleep(1)
            continue
        number += 1
        log(f"(ID 0 {number}) Item {item.get('body', '')!r} done: {fingerprint()}")


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _dequeue(server: str, queue: str) -> dict[str, Any] | None:
    """Take a message from the queue server; None when there is none. Errors end the program."""
    import http.client
    import json
    from urllib.parse import quote, urlsplit

    url = urlsplit(server)
    if url.scheme != "http" or not url.hostname:
        raise UsageError(f"not an http URL: {server!r}")
    connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=10)
    try:
        connection.request("POST", f"{url.path.rstrip('/')}/queues/{quote(queue)}/dequeue")
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status == 204:
        return None
    if response.status != 200:
        raise OSError(f"queue server answered {response.status}: {body.decode(errors='replace')}")
    message: dict[str, Any] = json.loads(body)
    return message


# The queue server


class Queue:
    """One queue and its counters."""

    def __init__(self) -> None:
        self.messages: deque[dict[str, Any]] = deque()
        self.enqueued = 0
        self.dequeued = 0
        self.drained = 0


class Broker:
    """All queues, in memory; many threads may use it."""

    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}
        self._lock = threading.Lock()
        self._number = 0

    def handle(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """The status and the JSON body (None: no body) for one request below /memq/server."""
        from urllib.parse import unquote

        with self._lock:
            if path == _STATS:
                return (200, self._stats()) if method == "GET" else (405, _fault("use GET"))
            name, _, action = path.removeprefix(_QUEUES).partition("/")
            name = unquote(name)
            if not path.startswith(_QUEUES) or not name:
                return 404, _fault("no such page")
            if not action:
                return self._manage(method, name)
            queue = self._queues.get(name)
            if queue is None:
                return 404, _fault(f"queue {name!r} does not exist")
            if method != "POST":
                return 405, _fault("use POST")
            return self._act(queue, action, body)

    def _stats(self) -> dict[str, Any]:
        queues = [
            {
                "name": name,
                "depth": len(queue.messages),
                "enqueued": queue.enqueued,
                "dequeued": queue.dequeued,
                "drained": queue.drained,
            }
            for name, queue in sorted(self._queues.items())
        ]
        return {"kind": "stats", "queues": queues}

    def _manage(self, method: str, name: str) -> tuple[int, Any]:
        if method == "PUT":
            if name in self._queues:
                return 409, _fault(f"queue {name!r} exists")
            self._queues[name] = Queue()
            return 200, {"kind": "queue", "name": name}
        if method == "DELETE":
            if self._queues.pop(name, None) is None:
                return 404, _fault(f"queue {name!r} does not exist")
            return 200, {"kind": "queue", "name": name}
        return 405, _fault("use PUT or DELETE")

    def _act(self, queue: Queue, action: str, body: bytes) -> tuple[int, Any]:
        if action == "enqueue":
            self._number += 1
            message = {
                "kind": "message",
                "id": hashlib.sha256(b"%d" % self._number + body).hexdigest()[:32],
                "body": body.decode("utf-8", "replace"),
                "creationTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
            queue.messages.append(message)
            queue.enqueued += 1
            return 200, message
        if action == "dequeue":
            if not queue.messages:
                return 204, None
            queue.dequeued += 1
            return 200, queue.messages.popleft()
        if action == "drain":
            queue.drained += len(queue.messages)
            queue.messages.clear()
            return 200, {"kind": "queue", "drained": queue.drained}
        return 404, _fault(f"unknown action {action!r}")


def _fault(text: str) -> dict[str, str]:
    return {"kind": "error", "message": text}


def serve(address: str) -> None:
    """Serve HTTP until killed."""
    import json
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from urllib.parse import urlsplit

    broker = Broker()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 <= length <= _BODY_BYTES_MAX:
                self.close_connection = True
                self._send(413, b"too large\n", "text/plain")
                return
            body = self.rfile.read(length)
            path = urlsplit(self.path).path
            if path in ("/healthy", "/ready", "/"):
                self._send(200, b"ok", "text/plain")
                return
            status, value = broker.handle(self.command, path, body)
            data = b"" if value is None else json.dumps(value).encode() + b"\n"
            self._send(status, data, "application/json")

        do_GET = do_PUT = do_POST = do_DELETE = _answer

        def _send(self, status: int, data: bytes, kind: str) -> None:
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            log(f"{self.client_address[0]} {format % args}")

    host, _, port = address.rpartition(":")
    server = ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
    server.daemon_threads = True
    log(f"Serving on {host}:{server.server_address[1]}")
    server.serve_forever()


def main(words: list[str]) -> int:
    """Run, and return the exit code."""
    try:
        options = parse(words)
        if not options.keygen:
            serve(options.address)
            return 0
        work(options)
        if options.exit_on_complete:
            return options.exit_code
        serve(options.address)  # as kuard: without the flag it stays
    except UsageError as error:
        print(f"kuard: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        log(f"(ID 0) Failed: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
