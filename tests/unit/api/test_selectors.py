"""Label and field selectors: grammar, errors, matching."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import selectors
from kubatch.api.models import LabelSelector, LabelSelectorRequirement
from kubatch.api.selectors import (
    FieldRequirement,
    LabelRequirements,
    Requirement,
    from_selector,
    parse_fields,
    parse_labels,
    to_string,
)

QUALIFIED = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("   ", ""),
        ("a=b", "a=b"),
        ("a==b", "a==b"),
        ("a!=b", "a!=b"),
        ("a = b", "a=b"),
        ("a", "a"),
        ("!a", "!a"),
        ("! a", "!a"),
        ("a>1", "a>1"),
        ("a<1", "a<1"),
        ("a in (x,y)", "a in (x,y)"),
        ("a in (y,x,y)", "a in (x,y)"),
        ("a notin (x)", "a notin (x)"),
        ("a in ()", "a in ()"),
        ("a in (,)", "a in ()"),
        ("a in (x,,y)", "a in (,x,y)"),
        ("a in (x,)", "a in (,x)"),
        ("a in (in,notin)", "a in (in,notin)"),
        ("in in (in)", "in in (in)"),
        ("notin=in", "notin=in"),
        ("a=", "a="),
        ("a=,b", "a=,b"),
        ("b,a", "a,b"),
        ("x in (foo,,baz),y,z notin ()", "x in (,baz,foo),y,z notin ()"),
        ("\ta=b,\nc\r", "a=b,c"),
        ("example.com/a=b", "example.com/a=b"),
        ("a=b,a=c", "a=b,a=c"),
    ],
)
def test_label_selector_is_parsed_and_shown(text: str, shown: str) -> None:
    assert to_string(parse_labels(text)) == shown


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "foo bar",
            "unable to parse requirement: found 'bar', expected: in, notin, =, ==, !=, gt, lt",
        ),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a,,b", "found ',', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("a==!b", "unable to parse requirement: found '!', expected: identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!!a", "unable to parse requirement: found '!', expected: identifier"),
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b,", "unable to parse requirement: found '', expected: ',', or identifier"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a in (b,=)", "unable to parse requirement: found '=', expected: ',', or identifier"),
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        (
            "a>x",
            'unable to parse requirement: values[0]: Invalid value: "x": for '
            "'Gt', 'Lt' operators, the value must be an integer",
        ),
        (
            "a>9223372036854775808",
            'unable to parse requirement: values[0]: Invalid value: "9223372036854775808": for '
            "'Gt', 'Lt' operators, the value must be an integer",
        ),
        ("-a=b", f'unable to parse requirement: <nil>: Invalid value: "-a": {QUALIFIED}'),
        (
            "/a",
            'unable to parse requirement: <nil>: Invalid value: "/a": prefix part must be '
            "non-empty",
        ),
        (
            "a=x/y",
            f'unable to parse requirement: values[0][a]: Invalid value: "x/y": {VALUE}',
        ),
        (
            "a in (-x,-y)",
            f'unable to parse requirement: [values[0][a]: Invalid value: "-x": {VALUE}, '
            f'values[1][a]: Invalid value: "-y": {VALUE}]',
        ),
        (
            f"a={'x' * 64}",
            f'unable to parse requirement: values[0][a]: Invalid value: "{"x" * 64}": must be no '
            "more than 63 bytes",
        ),
    ],
)
def test_malformed_label_selector_says_what_was_expected(text: str, error: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the whole message follows
        parse_labels(text)
    assert str(raised.value) == error


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", None, True),
        ("", {"a": "b"}, True),
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "c"}, False),
        ("a=b", None, False),
        ("a=", {}, False),
        ("a=", {"a": ""}, True),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a in (b,c)", {"a": "c"}, True),
        ("a in (b,c)", {}, False),
        ("a notin (b,c)", {"a": "c"}, False),
        ("a notin (b,c)", None, True),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("!a", {}, True),
        ("!a", {"a": ""}, False),
        ("a>1", {"a": "2"}, True),
        ("a>1", {"a": "1"}, False),
        ("a>1", {"a": "two"}, False),
        ("a>1", {"a": "9223372036854775808"}, False),
        ("a>1", {}, False),
        ("a<1", {"a": "-2"}, True),
        ("a<1", {"a": "+0"}, True),
        ("a<1", {"a": "1"}, False),
        ("a=b,c", {"a": "b", "c": ""}, True),
        ("a=b,c", {"a": "b"}, False),
    ],
)
def test_label_selector_matches(text: str, labels: Mapping[str, str] | None, matches: bool) -> None:
    assert parse_labels(text).matches(labels) is matches


def test_the_empty_text_selects_everything() -> None:
    assert parse_labels("").empty
    assert not parse_labels("a").empty


def test_selector_of_none_selects_nothing() -> None:
    nothing = from_selector(None)
    assert not nothing.empty
    assert not nothing.matches({"a": "b"})
    assert not nothing.matches(None)
    assert to_string(nothing) == ""


def test_empty_selector_object_selects_everything() -> None:
    assert from_selector(LabelSelector()).empty
    assert from_selector(LabelSelector(matchLabels={}, matchExpressions=[])).empty


def test_selector_object_joins_labels_and_expressions() -> None:
    selector = LabelSelector(
        matchLabels={"b": "1", "a": ""},
        matchExpressions=[
            LabelSelectorRequirement(key="c", operator="In", values=["y", "x"]),
            LabelSelectorRequirement(key="d", operator="NotIn", values=["z"]),
            LabelSelectorRequirement(key="e", operator="Exists"),
            LabelSelectorRequirement(key="f", operator="DoesNotExist", values=[]),
        ],
    )
    requirements = from_selector(selector)
    assert to_string(requirements) == "a=,b=1,c in (x,y),d notin (z),e,!f"
    assert requirements.matches({"a": "", "b": "1", "c": "x", "e": ""})
    assert not requirements.matches({"a": "", "b": "1", "c": "z", "e": ""})


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        (
            LabelSelectorRequirement(key="a", operator="Gt", values=["1"]),
            '"Gt" is not a valid label selector operator',
        ),
        (
            LabelSelectorRequirement(key="a", operator="In"),
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
        ),
        (
            LabelSelectorRequirement(key="a", operator="Exists", values=["b"]),
            'values: Invalid value: ["b"]: values set must be empty for exists and does not exist',
        ),
        (
            LabelSelectorRequirement(key="-a", operator="Exists"),
            f'key: Invalid value: "-a": {QUALIFIED}',
        ),
    ],
)
def test_selector_object_that_validation_missed(
    expression: LabelSelectorRequirement, error: str
) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the whole message follows
        from_selector(LabelSelector(matchExpressions=[expression]))
    assert str(raised.value) == error


KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["", "1", "2", "10", "x", "-3"])
LABELS = st.none() | st.dictionaries(KEYS, VALUES)


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    operator = draw(st.sampled_from(["in", "notin", "=", "==", "!=", "gt", "lt", "exists", "!"]))
    if operator in ("exists", "!"):
        values: list[str] = []
    elif operator in ("in", "notin"):
        values = draw(st.lists(VALUES.filter(lambda v: v != "-3"), min_size=1, unique=True))
    elif operator in ("gt", "lt"):
        values = [draw(st.sampled_from(["1", "2"]))]
    else:
        values = [draw(VALUES.filter(lambda v: v != "-3"))]
    return Requirement(draw(KEYS), operator, tuple(sorted(values)))


def obviously_matches(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    """The documentation of labels.Requirement.Matches, clause by clause."""
    present = requirement.key in labels
    value = labels.get(requirement.key, "")
    match requirement.operator:
        case "exists":
            return present
        case "!":
            return not present
        case "in" | "=" | "==":
            return present and value in requirement.values
        case "notin" | "!=":
            return not present or value not in requirement.values
    if not present or not value.lstrip("-").isdigit():
        return False
    bound = int(requirement.values[0])
    return int(value) > bound if requirement.operator == "gt" else int(value) < bound


@given(st.lists(requirements(), max_size=4), LABELS)
def test_matching_agrees_with_the_obvious_twin(
    wanted: list[Requirement], labels: dict[str, str] | None
) -> None:
    selector = LabelRequirements(tuple(wanted))
    expected = all(obviously_matches(r, labels or {}) for r in wanted)
    assert selector.matches(labels) is expected


@given(st.lists(requirements(), max_size=4))
def test_what_is_shown_parses_to_the_same(wanted: list[Requirement]) -> None:
    selector = LabelRequirements(tuple(sorted(wanted, key=lambda r: r.key)))
    assert parse_labels(to_string(selector)) == selector


@given(st.text(alphabet="ab1 ,=!()<>in\t-", max_size=20))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        selector = parse_labels(text)
    except ValueError:
        return
    assert parse_labels(to_string(selector)) == selector


# ----- fields


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (",,", []),
        ("a=b", [("a", False, "b")]),
        ("a==b", [("a", False, "b")]),
        ("a!=b", [("a", True, "b")]),
        ("a=", [("a", False, "")]),
        ("a!=", [("a", True, "")]),
        ("=", [("", False, "")]),
        ("b=1,a=2", [("a", False, "2"), ("b", False, "1")]),
        ("a=b,a=b", [("a", False, "b"), ("a", False, "b")]),
        (r"a=b\,c", [("a", False, "b,c")]),
        (r"a=b\=c\\", [("a", False, "b=c\\")]),
        ("a = b", [("a ", False, " b")]),
        (
            "status.phase!=Failed,status.phase!=Succeeded",
            [("status.phase", True, "Failed"), ("status.phase", True, "Succeeded")],
        ),
    ],
)
def test_field_selector_is_parsed(text: str, expected: list[tuple[str, bool, str]]) -> None:
    assert parse_fields(text).requirements == tuple(FieldRequirement(*e) for e in expected)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("foo", "invalid selector: 'foo'; can't understand 'foo'"),
        ("a=b,foo", "invalid selector: 'a=b,foo'; can't understand 'foo'"),
        ("a!b", "invalid selector: 'a!b'; can't understand 'a!b'"),
        (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ("a===b", "invalid field selector: unescaped character in value: 61"),
    ],
)
def test_malformed_field_selector(text: str, error: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the whole message follows
        parse_fields(text)
    assert str(raised.value) == error


def test_field_selector_matches_by_what_get_tells() -> None:
    fields = {"a": "1", "b": ""}
    assert parse_fields("a=1,b=,b!=2").matches(fields.__getitem__)
    assert not parse_fields("a!=1").matches(fields.__getitem__)
    assert not parse_fields("a=1,b=1").matches(fields.__getitem__)
    assert parse_fields("").matches(fields.__getitem__)


@given(st.dictionaries(st.sampled_from(["a", "b.c"]), st.text(max_size=8), max_size=2))
def test_escaped_values_come_back(values: dict[str, str]) -> None:
    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")

    text = ",".join(f"{path}={escaped(value)}" for path, value in values.items())
    assert {r.path: r.value for r in parse_fields(text).requirements} == values


def test_parsing_is_cached() -> None:
    assert selectors.parse_labels("a=b") is selectors.parse_labels("a=b")
    assert selectors.parse_fields("a=b") is selectors.parse_fields("a=b")
