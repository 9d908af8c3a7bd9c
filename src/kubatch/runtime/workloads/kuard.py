"""A stand-in for the kuard demo image: the same flags and work-queue API, none of its code.

Two ways to run. With --keygen-enable it is a batch workload: it makes a number of RSA keys of 4096
bits, each a second of a processor's work or so, and prints the SHA256 fingerprint that SSH would
show for it; or it makes one for each item that it takes from a queue server. Otherwise it serves
HTTP, and is that queue server itself, under /memq/server.

Runs as `python -S -E kuard.py FLAGS` with the standard library, and `cryptography` for the keys,
which is looked for only when the first one is made. Other heavy modules (typing and dataclasses
among them) are imported where they are needed too: a short workload should take no longer to start
than the interpreter does.
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

_KEY_BITS = 4096
_RETRY_S = 1
_BODY_BYTES_MAX = 1 << 20
_MESSAGES_MAX = 100_000  # in all queues together
_MESSAGE_BYTES_MAX = 64 << 20  # their bodies, likewise
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
    "port": "",
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
        if values["port"]:
            self.address = f"{self.address.rpartition(':')[0]}:{int(values['port'])}"


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


def new_key() -> bytes:
    """The public half of a new key, as in a file `id_rsa.pub`; the private half is forgotten."""
    _find_packages()
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)


def fingerprint(line: bytes) -> str:
    """The SHA256 fingerprint of a public key, as `ssh-keygen -l` prints it."""
    digest = hashlib.sha256(binascii.a2b_base64(line.split()[1])).digest()
    return "SHA256:" + binascii.b2a_base64(digest, newline=False).decode().rstrip("=")


def _find_packages() -> None:
    """Make importable what is installed: -S left it out, since most of it is not needed."""
    if "site" in sys.modules:
        return
    import site

    site.main()
    beside = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
    if os.path.isdir(os.path.join(beside, "cryptography")):
        sys.path.append(beside)  # whoever's home it is installed in, kubatch is there too


# The batch workload


def work(options: Options) -> None:
    """Do the keygen work to its end."""
    deadline = time.monotonic() + options.seconds if options.seconds else None
    log("(ID 0) Workload starting")
    if options.memq_server:
        _work_from_queue(options, deadline)
    else:
        total = options.count or "Inf"
        number = 0
        while not (options.count and number >= options.count) and not _over(deadline):
            number += 1
            log(f"(ID 0 {number}/{total}) Item done: {fingerprint(new_key())}")
    log("(ID 0) Workload exiting")


def _work_from_queue(options: Options, deadline: float | None) -> None:
    number = 0
    while not _over(deadline) and not (options.count and number >= options.count):
        try:
            item = _dequeue(options.memq_server, options.memq_queue)
        except (OSError, ValueError) as error:
            # As kuard: a server that is not there yet, or has no such queue yet, is waited for.
            log(f"(ID 0) Error getting work item, trying again: {error}")
            time.sleep(_RETRY_S)
            continue
        if item is None:
            log("(ID 0) Queue is empty")
            if options.exit_on_complete:
                return
            time.sleep(_RETRY_S)
            continue
        number += 1
        total, key = options.count or "Inf", fingerprint(new_key())
        log(f"(ID 0 {number}/{total}) Item done: {key} for {item.get('body', '')!r}")


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _dequeue(server: str, queue: str) -> dict[str, Any] | None:
    """Take a message from the queue server; None when there is none. Raises OSError, ValueError."""
    import http.client
    import json
    from urllib.parse import quote, urlsplit

    try:
        url = urlsplit(server)
        port = url.port or 80
    except ValueError as error:
        raise UsageError(f"not an http URL: {server!r}: {error}") from None
    if url.scheme != "http" or not url.hostname:
        raise UsageError(f"not an http URL: {server!r}")
    connection = http.client.HTTPConnection(_address(url.hostname), port, timeout=10)
    try:
        connection.request("POST", f"{url.path.rstrip('/')}/queues/{quote(queue)}/dequeue")
        response = connection.getresponse()
        body = response.read()
    except http.client.HTTPException as error:
        raise OSError(f"queue server answered no HTTP: {error!r}") from error
    finally:
        connection.close()
    if response.status == 204:
        return None
    if response.status != 200:
        raise OSError(f"queue server answered {response.status}: {body.decode(errors='replace')}")
    message: dict[str, Any] = json.loads(body)
    return message


def _address(host: str) -> str:
    """Where a host is: what the pod was told of a Service of that name, else the name itself.

    A pod that is a plain process has no /etc/hosts of its own to find `queue` in.
    """
    service = host.partition(".")[0].upper().replace("-", "_")
    return os.environ.get(f"{service}_SERVICE_HOST") or host


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
        self._held = 0
        self._held_bytes = 0

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
        return {"kind": "stats", "queues": [_stat(*item) for item in sorted(self._queues.items())]}

    def _manage(self, method: str, name: str) -> tuple[int, Any]:
        if method == "PUT":
            if name in self._queues:
                return 409, _fault(f"queue {name!r} exists")
            self._queues[name] = Queue()
            return 200, {"kind": "queue", "name": name}
        if method not in ("GET", "DELETE"):
            return 405, _fault("use PUT, GET or DELETE")
        queue = self._queues.get(name)
        if queue is None:
            return 404, _fault(f"queue {name!r} does not exist")
        if method == "GET":
            return 200, {"kind": "queue", **_stat(name, queue)}
        self._empty(queue)
        del self._queues[name]
        return 200, {"kind": "queue", "name": name}

    def _act(self, queue: Queue, action: str, body: bytes) -> tuple[int, Any]:
        if action == "enqueue":
            return self._enqueue(queue, body)
        if action == "dequeue":
            if not queue.messages:
                return 204, None
            queue.dequeued += 1
            message = queue.messages.popleft()
            self._let_go(message)
            return 200, message
        if action == "drain":
            queue.drained += self._empty(queue)
            return 200, {"kind": "queue", "drained": queue.drained}
        return 404, _fault(f"unknown action {action!r}")

    def _enqueue(self, queue: Queue, body: bytes) -> tuple[int, Any]:
        if self._held >= _MESSAGES_MAX or self._held_bytes + len(body) > _MESSAGE_BYTES_MAX:
            return 507, _fault("the queues are full")
        self._number += 1
        message = {
            "kind": "message",
            "id": hashlib.sha256(b"%d" % self._number + body).hexdigest()[:32],
            "body": body.decode("utf-8", "replace"),
            "creationTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        queue.messages.append(message)
        queue.enqueued += 1
        self._held += 1
        self._held_bytes += len(message["body"].encode())
        return 200, message

    def _let_go(self, message: dict[str, Any]) -> None:
        self._held -= 1
        self._held_bytes -= len(message["body"].encode())

    def _empty(self, queue: Queue) -> int:
        """Throw away what a queue holds; how many messages that were."""
        for message in queue.messages:
            self._let_go(message)
        count = len(queue.messages)
        queue.messages.clear()
        return count


def _stat(name: str, queue: Queue) -> dict[str, Any]:
    return {
        "name": name,
        "depth": len(queue.messages),
        "enqueued": queue.enqueued,
        "dequeued": queue.dequeued,
        "drained": queue.drained,
    }


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
    except (ImportError, OSError, ValueError) as error:
        log(f"(ID 0) Failed: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
