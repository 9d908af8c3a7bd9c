"""YAML as Kubernetes reads it: what becomes of keys, numbers, several documents, and nonsense."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import yaml_text
from kubatch.api.codec import Malformed
from kubatch.api.yaml_text import parse_manifests, parse_yaml, to_yaml


def values(text: str) -> list[Any]:
    return [read.value for read in parse_manifests(text.encode())]


def wrong(text: str) -> str:
    with pytest.raises(Malformed) as raised:
        list(parse_manifests(text.encode()))
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("---\n---\n# nothing\n---\n", []),
        ("a: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("kind: List\nitems: [{a: 1}, {b: 2}]\n---\nc: 3\n", [{"a": 1}, {"b": 2}, {"c": 3}]),
        ("kind: PodList\nitems: []\n", []),
        ("kind: List\nitems: 1\n", [{"kind": "List", "items": 1}]),
        ("kind: Pod\nitems: [{a: 1}]\n", [{"kind": "Pod", "items": [{"a": 1}]}]),
    ],
)
def test_documents_of_a_manifest(text: str, found: list[Any]) -> None:
    assert values(text) == found


def test_the_items_of_a_list_know_its_duplicates() -> None:
    [item] = parse_manifests(b"kind: List\nkind: List\nitems: [{a: 1}]\n")
    assert item.strict_errors == ['line 2: key "kind" already set in map']


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "json: cannot unmarshal array into Go value of type"),
        ("kind: List\nitems: [1]\n", "json: cannot unmarshal number into Go value of type"),
        ("a: [1\n", "error converting YAML to JSON: yaml: line "),
        ("a: " + "1" * 401, "error converting YAML to JSON: yaml: a number has too many digits"),
        ("\x00", "error converting YAML to JSON: yaml: "),
    ],
)
def test_what_is_no_manifest(text: str, message: str) -> None:
    assert wrong(text).startswith(message)


def test_one_object_is_one_document() -> None:
    with pytest.raises(Malformed, match="yaml: expected a single document"):
        parse_yaml(b"a: 1\n---\nb: 2\n")
    with pytest.raises(Malformed, match="cannot unmarshal null"):
        parse_yaml(b"")


def test_a_long_text_named_again_and_again_has_an_end() -> None:
    many = ", ".join(["*a"] * 40)
    assert wrong(f"a: &a {'x' * 1_000_000}\nb: [{many}]").endswith("excessive aliasing")


def test_merging_has_an_end() -> None:
    keys = ", ".join(f"k{i}: 1" for i in range(1000))
    many = ", ".join(["*a"] * 2000)
    text = f"a: &a {{{keys}}}\nb: {{<<: [{many}]}}"
    assert wrong(text).endswith("excessive aliasing")


def test_a_request_has_no_end_of_values() -> None:
    text = "a:\n" + "- b\n" * yaml_text.YAML_NODES_MAX
    with pytest.raises(Malformed, match="the document has too many values"):
        parse_yaml(text.encode())


def test_a_file_of_the_users_own_may_be_longer() -> None:
    text = "a:\n" + "- b\n" * yaml_text.YAML_NODES_MAX
    (document,) = yaml_text.parse_manifests(text.encode())
    assert len(document.value["a"]) == yaml_text.YAML_NODES_MAX


def test_aliases_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_text, "YAML_VALUES_MAX", 10)
    assert values("a: [1, 2, 3]") == [{"a": [1, 2, 3]}]
    assert wrong("a: &a [1, 2]\nb: [*a, *a, *a]").endswith("excessive aliasing")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1: a", {"1": "a"}),
        ("1.5: a", {"1.5": "a"}),
        ("true: a", {"true": "a"}),
        ("off: a", {"false": "a"}),
        ("~: a", {"null": "a"}),
        ("a: 0o17", {"a": 15}),
        ("a: 017", {"a": 15}),
        ("a: -0x1F", {"a": -31}),
        ("a: 0b101", {"a": 5}),
        ("a: 1_000", {"a": 1000}),
        ("a: 1e3", {"a": 1000}),
        ("a: 1e22", {"a": 1e22}),
        ("a: 1.5", {"a": 1.5}),
        ("a: 2026-05-01", {"a": "2026-05-01"}),
        ("a: 1:30", {"a": "1:30"}),
        ("a: ON", {"a": True}),
        ("a: {<<: {b: 1, c: 2}, c: 3}", {"a": {"b": 1, "c": 3}}),
    ],
)
def test_values_and_keys(text: str, value: Any) -> None:
    assert values(text) == [value]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": "x", "a": 1}, "a: 1\nb: x\n"),
        ({"a": "yes"}, 'a: "yes"\n'),
        ({"a": "1"}, 'a: "1"\n'),
        ({"a": "1\n2\n"}, "a: |\n  1\n  2\n"),
        ({"a": "", "b": None}, 'a: ""\nb: null\n'),
    ],
)
def test_writing(value: Any, text: str) -> None:
    assert to_yaml(value).decode() == text
    assert parse_yaml(text.encode()).value == value
