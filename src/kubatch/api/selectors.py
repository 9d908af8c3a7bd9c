"""Label selectors and field selectors: from text or object to something that matches.

The grammars, their errors and their order are those of apimachinery/pkg/labels/selector.go and
apimachinery/pkg/fields/selector.go. Parsing is cached: controllers and watches ask for the same
few selectors over and over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from kubatch.api.fields import show
from kubatch.api.models import LabelSelector
from kubatch.api.names import label_key_errors, label_value_errors

# As the operators are spelled in error messages (selection/operator.go).
_BINARY_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_SPELLING = {"=": "=", "==": "==", "!=": "!=", "gt": ">", "lt": "<"}
_INT64 = re.compile(r"[+-]?0*[0-9]{1,19}", re.ASCII)

Test = Callable[[str | None], bool]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: str  # in, notin, =, ==, !=, gt, lt, exists, !
    values: tuple[str, ...] = ()  # sorted

    def __str__(self) -> str:
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        values = ",".join(self.values)
        if self.operator in ("in", "notin"):
            return f"{self.key} {self.operator} ({values})"
        return f"{self.key}{_SPELLING[self.operator]}{values}"


def _test(requirement: Requirement) -> Test:
    """What a label's value, None when the label is absent, has to fulfil (Requirement.Matches)."""
    values = frozenset(requirement.values)
    if requirement.operator in ("in", "=", "=="):
        return values.__contains__
    if requirement.operator in ("notin", "!="):
        return lambda value: value not in values
    if requirement.operator == "exists":
        return lambda value: value is not None
    if requirement.operator == "!":
        return lambda value: value is None
    bound = _int64(requirement.values[0])
    assert bound is not None, "checked when the requirement was made"
    greater = requirement.operator == "gt"

    def compare(value: str | None) -> bool:
        number = None if value is None else _int64(value)
        if number is None:
            return False
        return number > bound if greater else number < bound

    return compare


def _int64(text: str) -> int | None:
    """strconv.ParseInt(text, 10, 64), or None where it fails."""
    if not _INT64.fullmatch(text):
        return None
    sign, digits = text[:1], text.lstrip("+-0") or "0"
    number = -int(digits) if sign == "-" else int(digits)
    return number if -(2**63) <= number < 2**63 else None


@dataclass(frozen=True, slots=True)
class LabelRequirements:
    """A label selector, ready to match: all requirements hold. None of them match everything."""

    requirements: tuple[Requirement, ...] = ()  # sorted by key
    nothing: bool = False  # matches no object at all, whatever the requirements
    _tests: tuple[tuple[str, Test], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tests = tuple((r.key, _test(r)) for r in self.requirements)
        object.__setattr__(self, "_tests", tests)

    @property
    def empty(self) -> bool:
        """Whether every object matches."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        if self.nothing:
            return False
        if labels is None:
            labels = {}
        for key, holds in self._tests:  # noqa: SIM110 - a generator would cost twice as much
            if not holds(labels.get(key)):
                return False
        return True

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = LabelRequirements()
NOTHING = LabelRequirements(nothing=True)


def to_string(selector: LabelRequirements) -> str:
    """The selector as the text that parse_labels reads; "" for everything and for nothing."""
    return str(selector)


# ----- from a LabelSelector object

_OBJECT_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def from_selector(selector: LabelSelector | None) -> LabelRequirements:
    """The selector of an object's spec; None selects nothing, an empty one everything.

    As metav1.LabelSelectorAsSelector. Raises ValueError for what validation should have refused.
    """
    if selector is None:
        return NOTHING
    found = [_requirement(k, "=", (v,)) for k, v in (selector.matchLabels or {}).items()]
    for expression in selector.matchExpressions or ():
        operator = _OBJECT_OPERATORS.get(expression.operator)
        if operator is None:
            raise ValueError(f"{show(expression.operator)} is not a valid label selector operator")
        found.append(_requirement(expression.key, operator, tuple(expression.values or ())))
    return LabelRequirements(_sorted(found)) if found else EVERYTHING


def _sorted(requirements: Sequence[Requirement]) -> tuple[Requirement, ...]:
    return tuple(sorted(requirements, key=lambda r: r.key))


def _requirement(key: str, operator: str, values: tuple[str, ...]) -> Requirement:
    """A valid requirement (labels.NewRequirement). Raises ValueError."""
    errors: list[str] = []
    if reasons := label_key_errors(key):
        errors.append(f"key: Invalid value: {show(key)}: {'; '.join(reasons)}")
    errors += _wrong_values(operator, values)
    for i, value in enumerate(values):
        if reasons := label_value_errors(value):
            where = f"values[{i}][{key}]"
            errors.append(f"{where}: Invalid value: {show(value)}: {'; '.join(reasons)}")
    if errors:
        errors = list(dict.fromkeys(errors))
        raise ValueError(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
    return Requirement(key, operator, tuple(sorted(set(values))))


def _wrong_values(operator: str, values: tuple[str, ...]) -> list[str]:
    if operator in ("in", "notin") and not values:
        return ["values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"]
    if operator in ("exists", "!") and values:
        return [
            f"values: Invalid value: {show(list(values))}: values set must be empty for exists and "
            "does not exist"
        ]
    if operator in ("gt", "lt") and _int64(values[0]) is None:
        return [
            f"values[0]: Invalid value: {show(values[0])}: for 'Gt', 'Lt' operators, the value "
            "must be an integer"
        ]
    return []


# ----- from text

_TOKEN = re.compile(r"[ \t\r\n]*(?:(==|!=|[=!(),<>])|([^ \t\r\n=!(),<>]+))")
_END = "end"
_NAME = "identifier"
_OPERATORS = {"=": "=", "==": "==", "!=": "!=", ">": "gt", "<": "lt", "in": "in", "notin": "notin"}


class _Parser:
    """Recursive descent over the tokens, with upstream's words for each disappointment."""

    def __init__(self, text: str) -> None:
        # (kind, literal): the kind of punctuation is the punctuation itself.
        self._tokens: list[tuple[str, str]] = []
        for mark, name in _TOKEN.findall(text):
            self._tokens.append((mark, mark) if mark else (_NAME, name))
        self._tokens.append((_END, ""))
        self._next = 0

    def _look(self) -> tuple[str, str]:
        return self._tokens[self._next]

    def _take(self) -> tuple[str, str]:
        self._next += 1
        return self._tokens[self._next - 1]

    def requirements(self) -> list[Requirement]:
        """All of the text (Parser.parse)."""
        found: list[Requirement] = []
        while True:
            kind, literal = self._look()
            if kind == _END:
                return found
            if kind not in (_NAME, "!"):
                raise ValueError(f"found '{literal}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._one())
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from None
            kind, literal = self._take()
            if kind == _END:
                return found
            if kind != ",":
                raise ValueError(f"found '{literal}', expected: ',' or 'end of string'")
            kind, literal = self._look()
            if kind not in (_NAME, "!"):
                raise ValueError(f"found '{literal}', expected: identifier after ','")

    def _one(self) -> Requirement:
        kind, key = self._take()
        absent = kind == "!"
        if absent:
            kind, key = self._take()
        if kind != _NAME:
            raise ValueError(f"found '{key}', expected: identifier")
        if reasons := label_key_errors(key):
            # The path of this error is a nil pointer upstream, and shows as one.
            raise ValueError(f"<nil>: Invalid value: {show(key)}: {'; '.join(reasons)}")
        if absent:
            return Requirement(key, "!")
        if self._look()[0] in (_END, ","):
            return Requirement(key, "exists")
        _, literal = self._take()
        operator = _OPERATORS.get(literal)
        if operator is None:
            raise ValueError(f"found '{literal}', expected: {_BINARY_OPERATORS}")
        values = self._values() if operator in ("in", "notin") else self._exact_value()
        return _requirement(key, operator, values)

    def _exact_value(self) -> tuple[str, ...]:
        if self._look()[0] in (_END, ","):
            return ("",)
        kind, literal = self._take()
        if kind != _NAME:
            raise ValueError(f"found '{literal}', expected: identifier")
        return (literal,)

    def _values(self) -> tuple[str, ...]:
        kind, literal = self._take()
        if kind != "(":
            raise ValueError(f"found '{literal}' expected: '('")
        kind, literal = self._look()
        if kind == ")":
            self._take()
            return ("",)
        if kind not in (_NAME, ","):
            raise ValueError(f"found '{literal}', expected: ',', ')' or identifier")
        values = self._list()
        self._take()  # the parenthesis that ended the list
        return tuple(sorted(values))

    def _list(self) -> set[str]:
        """Identifiers between commas, each of which may be empty: `(a,,b,)`."""
        values: set[str] = set()
        while True:
            kind, literal = self._take()
            after, after_literal = self._look() if kind != _END else (_END, "")
            if kind == _NAME:
                values.add(literal)
                if after == ")":
                    return values
                if after != ",":
                    raise ValueError(f"found '{after_literal}', expected: ',' or ')'")
            elif kind == ",":
                if not values or after in (",", ")"):
                    values.add("")
                if after == ")":
                    return values
            else:
                raise ValueError(f"found '{literal}', expected: ',', or identifier")


@lru_cache(maxsize=1024)
def parse_labels(text: str) -> LabelRequirements:
    """The label selector a text stands for: `a=b,c in (x,y),!d`. Raises ValueError.

    As labels.Parse; the empty text selects everything.
    """
    found = _Parser(text).requirements()
    return LabelRequirements(_sorted(found)) if found else EVERYTHING


# ----- fields


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """One condition on one field: it equals the value, or does not."""

    path: str
    negated: bool
    value: str


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """A field selector, parsed: all requirements hold."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, get: Callable[[str], str]) -> bool:
        """Whether an object is selected; `get` tells a field's value by its path."""
        for requirement in self.requirements:
            if (get(requirement.path) == requirement.value) is requirement.negated:
                return False
        return True


_TERM = re.compile(r"(?:[^\\,]|\\.?)*", re.DOTALL)
_FIELD_OPERATOR = re.compile(r"!=|==|=")


@lru_cache(maxsize=1024)
def parse_fields(text: str) -> FieldSelector:
    """The field selector a text stands for: `status.phase!=Failed,spec.nodeName=`.

    As fields.ParseSelector: terms are sorted, empty ones skipped, `\\\\`, `\\,` and `\\=` stand
    for the characters in a value. Raises ValueError.
    """
    found: list[FieldRequirement] = []
    for term in sorted(_terms(text)):
        if not term:
            continue
        operator = _FIELD_OPERATOR.search(term)
        if operator is None:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{term}'")
        path, value = term[: operator.start()], _unescaped(term[operator.end() :])
        found.append(FieldRequirement(path, operator[0] == "!=", value))
    return FieldSelector(tuple(found))


def _terms(text: str) -> list[str]:
    """The text between commas that no backslash protects (fields.splitTerms)."""
    terms: list[str] = []
    at = 0
    while at <= len(text):
        match = _TERM.match(text, at)
        assert match is not None, "the pattern matches the empty text"
        terms.append(match[0])
        at = match.end() + 1
    return terms


def _unescaped(value: str) -> str:
    if not any(special in value for special in "\\,="):
        return value
    out: list[str] = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if not escaped or escaped not in "\\,=":
                raise ValueError(f"invalid field selector: invalid escape sequence: \\{escaped}")
            out.append(escaped)
        elif character in ",=":
            # Go prints the character as the number it is.
            number = ord(character)
            raise ValueError(f"invalid field selector: unescaped character in value: {number}")
        else:
            out.append(character)
    return "".join(out)
