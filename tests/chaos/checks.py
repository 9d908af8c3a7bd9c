"""What must hold, whatever died: pure functions of what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kubatch.api import models as m
from tests.chaos.work import Task


@dataclass(frozen=True)
class Line:
    """A line of the ledger, which pods write themselves."""

    what: str  # start, end
    job: str
    index: str  # "-" when the Job has none
    pod: str
    at: float  # seconds since 1970


@dataclass
class Seen:
    """One Job over all the versions a watch told of it."""

    uid: str
    versions: list[tuple[float, m.JobStatus]] = field(default_factory=list)  # when, what
    deleted: bool = False

    @property
    def last(self) -> m.JobStatus:
        return self.versions[-1][1]


def read_ledger(text: str) -> list[Line]:
    """Lines in the order they were written."""
    lines = []
    for line in text.splitlines():
        what, job, index, pod, at = line.split()
        lines.append(Line(what, job, index, pod, float(at.replace(",", "."))))
    return lines


def verdict(status: m.JobStatus) -> str:
    """Complete, Failed, or nothing yet."""
    for condition in status.conditions or ():
        if condition.type in ("Complete", "Failed") and condition.status == "True":
            return condition.type
    return ""


def indexes(text: str | None) -> set[int]:
    """The numbers of completedIndexes, as in 0-2,5."""
    found: set[int] = set()
    for part in (text or "").split(","):
        if part:
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return found


def history(name: str, seen: Seen) -> Iterator[str]:
    """Counts go up only, an index stays counted, and a verdict stands."""
    succeeded = failed = 0
    completed: set[int] = set()
    ended = ""
    for _, status in seen.versions:
        if (status.succeeded or 0) < succeeded:
            yield f"{name}: succeeded went back from {succeeded} to {status.succeeded}"
        if (status.failed or 0) < failed:
            yield f"{name}: failed went back from {failed} to {status.failed}"
        now = indexes(status.completedIndexes)
        if completed - now:
            yield f"{name}: {sorted(completed - now)} were completed and are not any more"
        if ended and verdict(status) != ended:
            yield f"{name}: was {ended} and became {verdict(status) or 'unfinished'}"
        succeeded, failed = status.succeeded or 0, status.failed or 0
        completed, ended = now, verdict(status) or ended


def ending(task: Task, seen: Seen) -> Iterator[str]:
    """It ended as it must, with every completion counted."""
    ended = verdict(seen.last)
    if task.ends and ended != task.ends:
        yield f"{task.name}: ended as {ended or 'nothing'}, not {task.ends}: {seen.last}"
    if task.ends == "Complete" and seen.last.succeeded != task.completions:
        yield f"{task.name}: counted {seen.last.succeeded} of {task.completions}"


def runs(
    task: Task, seen: Seen, lines: Sequence[Line], *, only_servers_died: bool
) -> Iterator[str]:
    """What really ran, against what was counted."""
    ends = Counter(line.index for line in lines if line.what == "end")
    starts = Counter(line.index for line in lines if line.what == "start")
    if task.ends == "Complete" and task.manifest["spec"].get("completionMode") == "Indexed":
        for index in range(task.completions):
            if not ends[str(index)]:
                yield f"{task.name}: index {index} was counted and never ran to its end"
        yield from _again(task, seen, lines)
    elif task.ends == "Complete" and sum(ends.values()) < task.completions:
        yield f"{task.name}: {task.completions} counted, {sum(ends.values())} ran to their end"
    once = only_servers_died and task.exact and task.ends == "Complete"
    if once and sum(starts.values()) != task.completions:
        yield f"{task.name}: {dict(starts)} ran for {task.completions} completions"
    for pod, times in Counter(line.pod for line in lines if line.what == "start").items():
        if times > 1 and task.exact:
            yield f"{task.name}: {pod} ran {times} times and may only once"


def _again(task: Task, seen: Seen, lines: Sequence[Line]) -> Iterator[str]:
    """An index must not start after its success was counted."""
    counted: dict[int, float] = {}
    for at, status in seen.versions:
        for index in indexes(status.completedIndexes):
            counted.setdefault(index, at)
    for line in lines:
        if line.what == "start" and line.at > counted.get(int(line.index), float("inf")):
            yield f"{task.name}: index {line.index} ran again in {line.pod} after it was counted"


def slots(created: Iterable[str], first: datetime, last: datetime) -> Iterator[str]:
    """Of a CronJob with one Job a minute: one for each minute between, and none twice."""
    found = Counter(created)
    for name, times in found.items():
        if times > 1:
            yield f"{name} was created {times} times"
    minute = int(first.timestamp()) // 60 + 1
    while minute * 60 < int(last.timestamp()):
        if not any(name.endswith(f"-{minute}") for name in found):
            yield f"the run of minute {minute} is missing"
        minute += 1
