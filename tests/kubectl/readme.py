"""READMEs as tests: their commands run as they stand, and say what the README says they do.

A fenced block marked `console` is a session: `$ ` begins a command, which goes on while its lines
are indented; the other lines are what it prints. A line of dots stands for any lines, dots within
one for anything; ages, times, random names and fingerprints differ every time. All commands of a
file run in one shell. Blocks marked otherwise are not run.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SECONDS_MAX = 150
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
# What differs from one time to the next, and what is put in its place on both sides.
_VARYING = (
    (re.compile(r"SHA256:[A-Za-z0-9+/]{43}"), "SHA256:#"),
    (re.compile(r"\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\dZ?"), "#time"),
    (re.compile(r"\b(\d+(ms|[smhd]))+\b"), "#age"),
    (re.compile(r"\bexample-[a-z-]+"), "default"),  # the namespace of a test
    (re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b"), "-#####"),
)


@dataclass
class Step:
    """A command and what it prints, as the README has it."""

    command: str
    prints: list[str] = field(default_factory=list)


class Differs(AssertionError):
    """A README says something else than what happens."""


def steps(text: str) -> list[Step]:
    """All commands of a README, in order."""
    found: list[Step] = []
    for block in _BLOCK.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Step(line[2:]))
            elif line.startswith("    ") and not found[-1].prints:
                found[-1].command += "\n" + line
            else:
                found[-1].prints.append(line)
    return found


def run(
    session: Sequence[Step], *, directory: Path, cwd: Path, environment: Mapping[str, str]
) -> None:
    """Run a README's commands, and compare. Raises Differs."""
    lines = ["exec </dev/null"]
    for number, step in enumerate(session):
        lines.append(f"{{ {step.command}\n}} >{directory}/{number}.out 2>&1")
        lines.append(f"code=$?; [ $code = 0 ] || {{ echo {number} $code; exit; }}")
    script = directory / "session.sh"
    script.write_text("\n".join(lines) + "\necho over\n", encoding="utf-8")
    with subprocess.Popen(
        ["bash", str(script)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=cwd, env=dict(environment), start_new_session=True,
    ) as shell:  # fmt: skip
        try:
            ended = shell.communicate(timeout=SECONDS_MAX)[0].strip()
        except subprocess.TimeoutExpired:
            ended = f"not after {SECONDS_MAX} seconds"
        finally:
            # What the session left running: a forwarded port, when a step failed.
            if _alive(shell.pid):
                os.killpg(shell.pid, signal.SIGKILL)
    for number, step in enumerate(session):
        path = directory / f"{number}.out"
        said = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        if (missing := first_missing(step.prints, said.splitlines())) is not None:
            raise Differs(f"$ {step.command}\nlacks: {missing}\nprinted:\n{said}\nended: {ended}")
    if ended != "over":
        raise Differs(f"a command failed or never ended: {ended}")


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def first_missing(expected: Sequence[str], said: Sequence[str]) -> str | None:
    """The first expected line that was not printed, in this order; None when all were."""
    rest = iter([_plain(line) for line in said])
    for line in expected:
        if line.strip() == "...":
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in _plain(line).split("...")))
        if not any(pattern.fullmatch(candidate) for candidate in rest):
            return line
    return None


def _plain(line: str) -> str:
    for pattern, instead in _VARYING:
        line = pattern.sub(instead, line)
    return " ".join(line.split())
