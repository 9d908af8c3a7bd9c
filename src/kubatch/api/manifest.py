"""YAML and JSON manifests: text to plain values, as sigs.k8s.io/yaml reads them.

YAML 1.1 booleans (`yes`, `on`) count, as they do for kubectl; timestamps stay strings, and a key
that stands twice is an error in the words of Go's YAML library.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ManifestError(ValueError):
    """The text is not YAML, or a document in it is not an object."""


class _Loader(_Base):  # type: ignore[misc]
    """Values that JSON knows, nothing else; keys only once."""

    def __init__(self, stream: str | bytes) -> None:
        super().__init__(stream)
        self.duplicates: list[str] = []

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str):
                if key in seen:
                    line = key_node.start_mark.line + 1
                    self.duplicates.append(f'line {line}: key "{key}" already set in map')
                seen.add(key)
        made = super().construct_mapping(node, deep=True)
        return {_key(k): v for k, v in made.items()}


def _key(key: Any) -> str:
    """JSON's keys are strings; YAML's may be numbers and booleans."""
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}


def load(text: str | bytes) -> tuple[Any, list[str]]:
    """One document and what is said about keys that stand twice. Raises ManifestError."""
    loader = _Loader(text)
    try:
        return loader.get_single_data(), loader.duplicates
    except yaml.YAMLError as error:
        raise ManifestError(_reason(error)) from None
    finally:
        loader.dispose()


def load_all(text: str | bytes) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Every document that is not empty, a List's items one by one. Raises ManifestError."""
    loader = _Loader(text)
    try:
        while loader.check_data():
            loader.duplicates = []
            document = loader.get_data()
            if document is None:
                continue
            if not isinstance(document, dict):
                raise ManifestError("a document is not an object with apiVersion and kind")
            items = document.get("items")
            if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
                for item in items:
                    yield item, loader.duplicates
            else:
                yield document, loader.duplicates
    except yaml.YAMLError as error:
        raise ManifestError(_reason(error)) from None
    finally:
        loader.dispose()


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"yaml: line {mark.line + 1}: {problem}" if mark else f"yaml: {problem}"
