"""Files and functions stay small. A ratchet: today's exceptions may shrink, never grow."""

from __future__ import annotations

from tests.tidy import sources

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
FOLDERS = ("bench", "examples", "src", "tests")

# Path to its lines today. Take a line out as soon as the file fits.
LONG_FILES: dict[str, int] = {}
# "path: function" to its lines today, docstring left out.
LONG_FUNCTIONS: dict[str, int] = {}


def test_no_file_grows_past_the_limit() -> None:
    lengths = {
        sources.shown(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources.python_files(*FOLDERS)
    }
    assert over(lengths, FILE_LINES_MAX, LONG_FILES) == {}
    assert stale(lengths, FILE_LINES_MAX, LONG_FILES) == set()


def test_no_function_grows_past_the_limit() -> None:
    lengths = {
        name: length
        for path in sources.python_files(*FOLDERS)
        for name, length in sources.functions(path)
    }
    assert over(lengths, FUNCTION_LINES_MAX, LONG_FUNCTIONS) == {}
    assert stale(lengths, FUNCTION_LINES_MAX, LONG_FUNCTIONS) == set()


def over(lengths: dict[str, int], limit: int, exceptions: dict[str, int]) -> dict[str, int]:
    """What is longer than it may be."""
    return {n: length for n, length in lengths.items() if length > exceptions.get(n, limit)}


def stale(lengths: dict[str, int], limit: int, exceptions: dict[str, int]) -> set[str]:
    """Exceptions no longer needed, or larger than they need to be."""
    return {n for n, allowed in exceptions.items() if lengths.get(n, 0) < max(allowed, limit + 1)}
