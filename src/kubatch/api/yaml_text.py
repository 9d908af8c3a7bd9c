"""YAML text as Kubernetes reads it (sigs.k8s.io/yaml): YAML 1.1 made into JSON values. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from kubatch.api import fields
from kubatch.api.codec import Malformed, Unmarshalled
from kubatch.api.json_text import TYPE_META, go_kind

# Values a YAML document may stand for, aliases written out: more is an attack.
YAML_VALUES_MAX = 1_000_000
# The same of its characters, where a long text is one value; a longer document may have twice its
# own length.
YAML_CHARACTERS_MAX = 16 * 1024 * 1024
# Nodes of a request's document. Nobody else is served while it is read, and each takes some time;
# the largest definitions that people write have a third of it.
YAML_NODES_MAX = 100_000


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML 1.1 as sigs.k8s.io/yaml reads it: no timestamps, no base 60, y and n are booleans."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def __init__(self, data: bytes, nodes_max: int | None) -> None:
        super().__init__(data)
        self._left = nodes_max
        self._merged = 0

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        """Called for each node; it has nothing else to do here."""
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise yaml.YAMLError("the document has too many values")

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put in what `<<` names; also that can be asked for again and again."""
        self._merged += len(node.value)
        if self._merged > YAML_VALUES_MAX:
            raise yaml.YAMLError("document contains excessive aliasing")
        super().flatten_mapping(node)


# No field holds a longer number, and Python refuses thousands of digits.
_NUMBER_CHARACTERS_MAX = 400
_RESOLVERS = (
    (
        "bool",
        r"^(?:y|Y|yes|Yes|YES|on|On|ON|true|True|TRUE|n|N|no|No|NO|off|Off|OFF|false|False|FALSE)$",
        "yYnNtTfFoO",
    ),
    ("int", r"^[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$", "-+0123456789"),
    (
        "float",
        r"^[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$",
        "-+.0123456789",
    ),
    ("merge", r"^(?:<<)$", "<"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
)
for _tag, _pattern, _firsts in _RESOLVERS:
    for _character in _firsts:
        _Loader.yaml_implicit_resolvers.setdefault(_character, []).append(
            (f"tag:yaml.org,2002:{_tag}", re.compile(_pattern))
        )


def parse_yaml(data: bytes) -> Unmarshalled:
    """One YAML document to a dict, noting duplicate keys with their lines; the last one wins.

    Raises Malformed.
    """
    first, *others = [*_documents(data, YAML_NODES_MAX)] or [Unmarshalled(None)]  # type: ignore[arg-type]
    if others:
        raise Malformed("error converting YAML to JSON: yaml: expected a single document")
    return _object(first)


def parse_manifests(data: bytes) -> Iterator[Unmarshalled]:
    """Every document of a manifest that is not empty, and a List's items one by one.

    Raises Malformed.
    """
    for read in _documents(data, None):
        if read.value is None:
            continue
        document = _object(read)
        items = document.value.get("items")
        if str(document.value.get("kind", "")).endswith("List") and isinstance(items, list):
            for item in items:
                yield _object(Unmarshalled(item, document.strict_errors))
        else:
            yield document


def _object(read: Unmarshalled) -> Unmarshalled:
    if not isinstance(read.value, dict):
        found = go_kind(read.value)
        raise Malformed(f"json: cannot unmarshal {found} into Go value of type {TYPE_META}")
    return read


def _documents(data: bytes, nodes_max: int | None) -> Iterator[Unmarshalled]:
    try:
        loader = _Loader(data, nodes_max)
        try:
            while loader.check_node():
                reader = _YamlReader(loader, max(YAML_CHARACTERS_MAX, 2 * len(data)))
                value = reader.value(loader.get_node())
                yield Unmarshalled(value, reader.duplicates)
        finally:
            loader.dispose()
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"error converting YAML to JSON: yaml: {_first_line(error)}") from None


class _YamlReader:
    """Builds JSON values from YAML nodes."""

    def __init__(self, loader: Any, characters_max: int) -> None:
        self._loader = loader
        self._values = 0
        self._characters_left = characters_max
        self.duplicates: list[str] = []

    def value(self, node: yaml.Node) -> Any:
        """A node's JSON value. Raises YAMLError for a document that grows beyond measure."""
        self._values += 1
        if self._values > YAML_VALUES_MAX:
            raise yaml.YAMLError("document contains excessive aliasing")
        if isinstance(node, yaml.MappingNode):
            self._loader.flatten_mapping(node)
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child) for child in node.value]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            name = _key(self.value(key_node))
            if name in made:
                line = key_node.start_mark.line + 1
                self.duplicates.append(f"line {line}: key {fields.show(name)} already set in map")
            made[name] = self.value(value_node)
        return made

    def _scalar(self, node: yaml.Node) -> Any:
        text: str = node.value
        self._characters_left -= len(text)
        if self._characters_left < 0:
            raise yaml.YAMLError("document contains excessive aliasing")
        match node.tag.rpartition(":")[2]:
            case "null":
                return None
            case "bool":
                return text[:1] in "yYtT" or text.lower() == "on"
            case "int":
                return _yaml_int(text.replace("_", ""))
            case "float":
                number = float(text.replace("_", ""))
                # Go writes a whole number without a fraction, and so it fits integer fields.
                return int(number) if number.is_integer() and abs(number) < 1e21 else number
            case _:
                return text


def _yaml_int(text: str) -> int:
    if len(text) > _NUMBER_CHARACTERS_MAX:
        raise yaml.YAMLError("a number has too many digits")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits.startswith("0") and digits.isdigit() and len(digits) > 1:
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _key(value: Any) -> str:
    """JSON has only strings as keys; numbers and booleans become their text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _first_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {problem}" if mark is not None else problem


# ----- writing


class _Dumper(yaml.SafeDumper):
    """Writes strings so that the reader above, and Go's, take them for strings again."""


def _represent_str(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else '"' if _is_ambiguous(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _is_ambiguous(text: str) -> bool:
    resolvers = _Loader.yaml_implicit_resolvers.get(text[:1], ())
    return any(pattern.match(text) for _, pattern in resolvers)


_Dumper.add_representer(str, _represent_str)


def to_yaml(value: Any) -> bytes:
    """A value as YAML with sorted keys."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=2**31 - 1
    )
    return text.encode()
