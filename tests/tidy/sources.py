"""The project's own files, as the tidy tests look at them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "kubatch"
FOLDERS = (".ci", "bench", "docs", "examples", "scripts", "src", "tests")
_SKIP = {"__pycache__"}


def python_files(*folders: str) -> list[Path]:
    """Every Python file below these folders of the project, sorted."""
    return [path for path in text_files(*folders) if path.suffix == ".py"]


def text_files(*folders: str) -> list[Path]:
    """Every file below these folders that people write, sorted."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return sorted(path for path in found if not _SKIP.intersection(path.parts))


def top_files() -> list[Path]:
    """The files at the project's top that people write, sorted."""
    return sorted(
        path
        for path in ROOT.iterdir()
        if path.is_file() and path.name not in {".git", ".coverage", "LICENSE"}
    )


def shown(path: Path) -> str:
    """The path as people write it: from the project's top."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path: Path) -> str:
    """kubatch.api.codec for src/kubatch/api/codec.py, kubatch.api for its __init__."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    parts = parts[1:] if parts[0] == "src" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length of each function of a file: its lines without the docstring."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            last = node.end_lineno or node.lineno
            length = last - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                length -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield f"{shown(path)}: {node.name}", length
