"""Probes and lifecycle hooks: what to run or call, and how often.

Follows pkg/apis/core/validation/validation.go: validateProbe, validateHandler, validateLifecycle.
"""

from __future__ import annotations

import re
from typing import Any

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Lifecycle, Probe, core_v1
from kubatch.registry.kinds.rules import between, non_negative
from kubatch.registry.metadata import regex_sentence

PORT_MAX = 65535
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_HEADER = "[-A-Za-z0-9]+"
_is_header = re.compile(_HEADER).fullmatch
_is_port_charset = re.compile("[-a-z0-9]+").fullmatch
_has_letter = re.compile("[a-z]").search


def port_name_errors(name: str) -> list[str]:
    """Why a port cannot be named so (IsValidPortName)."""
    found = []
    if len(name) > 15:
        found.append("must be no more than 15 characters")
    if not _is_port_charset(name):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _has_letter(name):
        found.append("must contain at least one letter (a-z)")
    if "--" in name:
        found.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        found.append("must not begin or end with a hyphen")
    return found


def port_or_name(port: int | str, path: str, out: list[Cause]) -> None:
    """A port given as a number or as a name (ValidatePortNumOrName)."""
    if isinstance(port, str):
        out.extend(fields.invalid(path, port, why) for why in port_name_errors(port))
    elif not 1 <= port <= PORT_MAX:
        out.append(fields.invalid(path, port, between(1, PORT_MAX)))


def validate_probes(c: Any, path: str, grace: int | None, out: list[Cause]) -> None:
    """The hooks and the three probes of a container that may have them."""
    if c.lifecycle is not None:
        validate_lifecycle(c.lifecycle, f"{path}.lifecycle", grace, out)
    if c.livenessProbe is not None:
        _probe(c.livenessProbe, f"{path}.livenessProbe", grace, out)
        _once(c.livenessProbe, f"{path}.livenessProbe", out)
    if c.readinessProbe is not None:
        where = f"{path}.readinessProbe"
        _probe(c.readinessProbe, where, grace, out)
        seconds = c.readinessProbe.terminationGracePeriodSeconds
        if seconds is not None:
            why = "must not be set for readinessProbes"
            out.append(fields.invalid(f"{where}.terminationGracePeriodSeconds", seconds, why))
    if c.startupProbe is not None:
        _probe(c.startupProbe, f"{path}.startupProbe", grace, out)
        _once(c.startupProbe, f"{path}.startupProbe", out)


def _once(probe: Probe, path: str, out: list[Cause]) -> None:
    if probe.successThreshold != 1:
        shown = probe.successThreshold or 0
        out.append(fields.invalid(f"{path}.successThreshold", shown, "must be 1"))


def _probe(probe: Probe, path: str, grace: int | None, out: list[Cause]) -> None:
    _handler(probe, path, grace, out)
    non_negative(probe.initialDelaySeconds, f"{path}.initialDelaySeconds", out)
    non_negative(probe.timeoutSeconds, f"{path}.timeoutSeconds", out)
    non_negative(probe.periodSeconds, f"{path}.periodSeconds", out)
    non_negative(probe.successThreshold, f"{path}.successThreshold", out)
    non_negative(probe.failureThreshold, f"{path}.failureThreshold", out)
    seconds = probe.terminationGracePeriodSeconds
    if seconds is not None and seconds <= 0:
        where = f"{path}.terminationGracePeriodSeconds"
        out.append(fields.invalid(where, seconds, "must be greater than 0"))


def validate_lifecycle(
    lifecycle: Lifecycle, path: str, grace: int | None, out: list[Cause]
) -> None:
    """postStart and preStop."""
    if lifecycle.postStart is not None:
        _handler(lifecycle.postStart, f"{path}.postStart", grace, out)
    if lifecycle.preStop is not None:
        _handler(lifecycle.preStop, f"{path}.preStop", grace, out)


def _handler(holder: Any, path: str, grace: int | None, out: list[Cause]) -> None:
    seen = False
    for name in _HANDLERS:
        action = getattr(holder, name, None)
        if action is None:
            continue
        if seen:
            why = "may not specify more than 1 handler type"
            out.append(fields.forbidden(f"{path}.{name}", why))
            continue
        seen = True
        _action(name, action, f"{path}.{name}", grace, out)
    if not seen:
        out.append(fields.required(path, "must specify a handler type"))


def _action(name: str, action: Any, path: str, grace: int | None, out: list[Cause]) -> None:
    if name == "exec":
        if not action.command:
            out.append(fields.required(f"{path}.command"))
    elif name == "httpGet":
        _http(action, path, out)
    elif name == "sleep":
        if grace is not None and not 0 <= action.seconds <= grace:
            why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            out.append(fields.invalid(path, action.seconds, why))
    else:
        port_or_name(action.port, f"{path}.port", out)


def _http(action: core_v1.HTTPGetAction, path: str, out: list[Cause]) -> None:
    if not action.path:
        out.append(fields.required(f"{path}.path"))
    port_or_name(action.port, f"{path}.port", out)
    if action.scheme not in ("HTTP", "HTTPS"):
        out.append(fields.not_supported(f"{path}.scheme", action.scheme or "", ["HTTP", "HTTPS"]))
    for header in action.httpHeaders or ():
        if not _is_header(header.name):
            why = regex_sentence(
                "a valid HTTP header must consist of alphanumeric characters or '-'",
                _HEADER, "X-Header-Name",
            )  # fmt: skip
            out.append(fields.invalid(f"{path}.httpHeaders", header.name, why))
