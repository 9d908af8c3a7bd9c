"""Sessions as text: commands of kubectl and what they print.

A line that begins with `$ ` is a command (kubectl itself is left out); the lines after it are what
it prints, in full: `! ` before a line of the errors of a command that fails, `# ` before one of the
errors of a command that does not. Runs of spaces count as one, `<...>` stands for anything on its
line, and a line `...` for any lines. Empty lines do not count; a `!` alone says that it fails.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.kubectl import tools


@dataclass(frozen=True)
class Step:
    """One command and what it should print."""

    words: tuple[str, ...]
    expected: tuple[str, ...]

    @property
    def fails(self) -> bool:
        """Whether it should."""
        return any(line.startswith("!") for line in self.expected)


def steps_of(text: str, **places: str) -> Iterator[Step]:
    """The steps of a session; `{name}` in it stands for a place."""
    for name, value in places.items():
        text = text.replace(f"{{{name}}}", value)
    for block in re.split(r"^\$ ", text.strip(), flags=re.M)[1:]:
        command, *expected = block.rstrip().splitlines()
        yield Step(tuple(shlex.split(command)), tuple(expected))


def run(kubectl: tools.Kubectl, session: str, **places: str) -> None:
    """Type every command of a session; fails with the first that prints anything else."""
    for step in steps_of(session, NS=kubectl.namespace, **places):
        done = kubectl.result(*step.words)
        mark = "! " if done.returncode else "# "
        said = [*done.stdout.splitlines(), *(mark + line for line in done.stderr.splitlines())]
        said, wanted = _lines(said), _lines(step.expected)
        text = "".join(f"{line}\n" for line in said)
        assert re.fullmatch(_pattern(wanted), text), (
            f"{kubectl.version} $ {shlex.join(step.words)}\n{text}--- expected:\n"
            + "\n".join(wanted)
        )
        assert bool(done.returncode) == step.fails, step.words


def _lines(text: Iterable[str]) -> list[str]:
    return [line for line in map(_plain, text) if line not in ("!", "#", "")]


def _plain(line: str) -> str:
    return re.sub(r"\s+", " ", re.sub("\x1b\\[[0-9;]*m", "", line)).strip()


def _pattern(wanted: list[str]) -> str:
    return "".join(
        r"(?:.*\n)*" if line == "..." else re.escape(line).replace("<\\.\\.\\.>", ".*") + r"\n"
        for line in wanted
    )
