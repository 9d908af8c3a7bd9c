"""Paths inside containers and volumes: relative, absolute, and never upwards."""

from __future__ import annotations

from kubatch.api import fields
from kubatch.api.errors import Cause


def no_backsteps(target: str, path: str, out: list[Cause]) -> None:
    """No element `..` (validatePathNoBacksteps)."""
    if ".." in target and ".." in target.split("/"):
        out.append(fields.invalid(path, target, "must not contain '..'"))


def descending(target: str, path: str, out: list[Cause]) -> None:
    """Relative, and without `..` (validateLocalDescendingPath)."""
    if target.startswith("/"):
        out.append(fields.invalid(path, target, "must be a relative path"))
    no_backsteps(target, path, out)


def local_path(target: str, path: str, out: list[Cause]) -> None:
    """As `descending`, and not beginning with `..` (ValidateLocalNonReservedPath)."""
    descending(target, path, out)
    if target.startswith("..") and not target.startswith("../"):
        out.append(fields.invalid(path, target, "must not start with '..'"))
