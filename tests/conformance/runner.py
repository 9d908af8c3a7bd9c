"""Carries out the rows of the tables, and says what an answer lacks."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import aiohttp

from kubatch.api.models import Namespace, ObjectMeta
from kubatch.api.resource import NAMESPACES
from tests.conformance.rows import ABSENT, Is, Row, Step
from tests.unit.server.conftest import Answer
from tests.unit.server.secured import MASTER, Secured

TOKENS = {"root": MASTER, "bob": "bob-token", "": "", "wrong": "no-such-token"}
SECONDS_MAX = 10
_REFERENCE = re.compile(r"<<(\d+)\.([^>]+)>>")
_WARNING = re.compile(r'299 - "(.*)"', re.DOTALL)


@dataclass
class Runner:
    """One server and how many rows it has seen."""

    server: Secured
    rows: int = 0

    async def run(self, row: Row) -> None:
        """Send what a row says. Raises AssertionError that tells the whole story."""
        self.rows += 1
        namespace = f"row-{self.rows}"
        space = Namespace(metadata=ObjectMeta(name=namespace))
        await self.server.client.create(NAMESPACES, space)
        await self.server.account("default", namespace)
        answers: list[Answer] = []
        for position, template in enumerate(row.steps):
            step = fill(template, namespace, answers)
            answer = await self._ask(step)
            answers.append(answer)
            wrong = list(complaints(step, answer))
            story = f"{row.name}: request {position}: {step.method} {step.path}"
            shown = answer.body[:3000].decode(errors="replace")
            assert not wrong, "\n  ".join([story, *wrong, f"{answer.status} {shown}"])
            if step.method != "GET" and "rbac.authorization" in step.path:
                await self.server.seen()

    async def _ask(self, step: Step) -> Answer:
        token = TOKENS.get(step.who, step.who)
        async with asyncio.timeout(SECONDS_MAX):
            if step.events is None:
                sent = step.sent.encode() if isinstance(step.sent, str) else step.sent
                return await self.server.ask(token, step.method, step.path, sent, step.send)
            return await self._watch(step, token)

    async def _watch(self, step: Step, token: str) -> Answer:
        """The first lines of a stream, as a JSON list."""
        url = self.server.running.server.url + step.path
        headers = {"Authorization": f"Bearer {token}", **step.send}
        lines: list[bytes] = []
        async with self.server.session.get(url, headers=headers) as response:
            if response.status == 200:
                lines = [line async for line in _lines(response, step)]
                body = b"[" + b",".join(lines) + b"]"
            else:
                body = await response.read()
            return Answer(response.status, response.headers, body, [])


async def _lines(response: aiohttp.ClientResponse, step: Step) -> Any:
    wanted = len(step.events or ())
    for _ in range(wanted):
        yield (await response.content.readline()).rstrip() or b"null"
    if step.ends and (more := await response.content.read()):
        yield more.rstrip()


# ----- what stands for something else


def fill(step: Step, namespace: str, answers: list[Answer]) -> Step:
    """The step with the row's namespace and values of earlier answers in it."""
    return replace(
        step, **{f.name: _filled(getattr(step, f.name), namespace, answers) for f in fields(step)}
    )


def _filled(value: Any, namespace: str, answers: list[Answer]) -> Any:
    if isinstance(value, str):
        whole = _REFERENCE.fullmatch(value)
        if whole:
            return _referred(whole, answers)
        value = value.replace("{ns}", namespace)
        return _REFERENCE.sub(lambda found: str(_referred(found, answers)), value)
    if isinstance(value, Mapping):
        return {
            _filled(k, namespace, answers): _filled(v, namespace, answers) for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(_filled(v, namespace, answers) for v in value)
    return value


def _referred(found: re.Match[str], answers: list[Answer]) -> Any:
    value: Any = answers[int(found[1])].json
    for part in found[2].split("."):
        value = value[int(part) if isinstance(value, list) else part]
    return value


# ----- judgement


def complaints(step: Step, answer: Answer) -> Iterator[str]:
    """Everything about an answer that is not as the step says."""
    status_is_right = answer.status == step.status if step.status else answer.status < 300
    if not status_is_right:
        yield f"status {answer.status}, expected {step.status or 'success'}"
    for name, expected in step.headers.items():
        actual: Any = answer.headers.get(name, ABSENT)
        yield from differences(expected, actual, f"header {name}")
    if step.text is not None:
        yield from differences(step.text, answer.text, "text")
    if step.warnings is not None:
        said = [_unquoted(text) for text in answer.warnings]
        yield from differences(step.warnings, said, "warnings")
    if step.events is not None and status_is_right and step.status == 200:
        yield from differences(list(step.events), answer.json, "events")
        return
    expected = step.expected()
    if expected:
        try:
            yield from differences(expected, answer.json, "")
        except json.JSONDecodeError:
            yield "no JSON"


def _unquoted(header: str) -> str:
    found = _WARNING.fullmatch(header)
    return found[1].replace('\\"', '"') if found else header


def differences(expected: Any, actual: Any, path: str) -> Iterator[str]:
    """Where a value lacks something of a fragment; lists must be as long, mappings may be larger."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for name, value in expected.items():
            yield from differences(value, actual.get(name, ABSENT), f"{path}.{name}")
    elif isinstance(expected, list | tuple) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{path}: {len(actual)} elements, expected {len(expected)}"
        for position, (one, other) in enumerate(zip(expected, actual, strict=False)):
            yield from differences(one, other, f"{path}[{position}]")
    elif isinstance(expected, re.Pattern):
        if not (isinstance(actual, str) and expected.fullmatch(actual)):
            yield f"{path}: {actual!r} does not match {expected.pattern!r}"
    elif isinstance(expected, Is):
        if actual is ABSENT or not expected.accepts(actual):
            yield f"{path}: {actual!r}, expected {expected!r}"
    elif expected != actual or type(expected) is not type(actual):
        yield f"{path}: {actual!r}, expected {expected!r}"
