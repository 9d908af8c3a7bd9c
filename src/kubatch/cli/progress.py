"""What a person sees while Jobs run: lines everywhere, colours and a status line on a terminal."""

from __future__ import annotations

import sys
from typing import Any, TextIO

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta")


class Progress:
    """Program output goes to `logs`, what kubatch has to say to stderr."""

    def __init__(self, logs: TextIO) -> None:
        self._logs = logs
        self._colours: dict[str, str] = {}
        self._console: Any = None
        self._status: Any = None
        if sys.stderr.isatty() and logs.isatty():
            from rich.console import Console  # slow to import; a pipe does not need it

            self._console = Console(stderr=True, highlight=False)
            self._status = self._console.status("starting")
            self._status.start()

    def say(self, text: str) -> None:
        """One line about what happens."""
        if self._console is not None:
            self._console.print(text, markup=False, style="dim")
        else:
            print(text, file=sys.stderr, flush=True)

    def outcome(self, text: str, *, good: bool) -> None:
        """One line about how a Job ended."""
        if self._console is not None:
            self._console.print(text, markup=False, style="bold green" if good else "bold red")
        else:
            print(text, file=sys.stderr, flush=True)

    def log(self, source: str, line: str) -> None:
        """One line of a container's output."""
        if self._console is not None:
            from rich.text import Text

            colour = self._colours.setdefault(source, COLOURS[len(self._colours) % len(COLOURS)])
            self._console.print(Text.assemble((f"[{source}] ", colour), line), soft_wrap=True)
        else:
            print(f"[{source}] {line}", file=self._logs, flush=True)

    def status(self, text: str) -> None:
        """Where things stand, on a terminal only."""
        if self._status is not None:
            self._status.update(text)

    def close(self) -> None:
        """Take the status line away."""
        if self._status is not None:
            self._status.stop()
