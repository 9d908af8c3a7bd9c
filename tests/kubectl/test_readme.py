"""What runs the READMEs: what it takes from them, and that it notices when they are wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kubectl import readme

TEXT = """
Some words.

```console
$ echo one; echo two
one
two
$ for i in a b; do
    echo $i; done
a
...
```

```sh
false
```
"""


def test_what_a_session_is() -> None:
    assert readme.steps(TEXT) == [
        readme.Step("echo one; echo two", ["one", "two"]),
        readme.Step("for i in a b; do\n    echo $i; done", ["a", "..."]),
    ]


@pytest.mark.parametrize(
    ("expected", "said", "missing"),
    [
        (["pod/a-xv6sr  0/1  3s"], ["pod/a-zz5kw 0/1 1m20s"], None),
        (["b", "a"], ["a", "b"], "a"),
        (["a", "...", "c"], ["a", "b", "c", "d"], None),
        (["a ... z"], ["a and so on to z"], None),
        (["a ... z"], ["a and so on"], "a ... z"),
        (["exit 1"], ["exit 2"], "exit 1"),
        ([], [], None),
    ],
)
def test_what_must_be_printed(expected: list[str], said: list[str], missing: str | None) -> None:
    assert readme.first_missing(expected, said) == missing


def run(tmp_path: Path, text: str) -> None:
    readme.run(
        readme.steps(f"```console\n{text}\n```"),
        directory=tmp_path, cwd=tmp_path, environment={"PATH": os.environ["PATH"]},
    )  # fmt: skip


def test_one_shell_for_all_commands(tmp_path: Path) -> None:
    run(tmp_path, "$ a=1\n$ sleep 600 &\n$ echo $a\n1\n$ kill %1")


@pytest.mark.parametrize("text", ["$ echo 1\n2", "$ false", "$ false; echo 1\n1\n$ exit 3"])
def test_what_is_wrong_is_noticed(tmp_path: Path, text: str) -> None:
    with pytest.raises(readme.Differs):
        run(tmp_path, text)
