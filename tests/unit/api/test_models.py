"""The one door to the object models."""

from __future__ import annotations

import runpy
import sys
from types import ModuleType

import pytest

from kubatch.api import models


def test_a_package_that_is_loaded_already_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = ModuleType("lightkube")
    monkeypatch.setitem(sys.modules, "lightkube", loaded)
    again = runpy.run_path(models.__file__)
    assert again["Job"] is models.Job
    assert sys.modules["lightkube"] is loaded


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "lightkube", raising=False)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ImportError, match="needs the package lightkube") as raised:
        runpy.run_path(models.__file__)
    assert raised.value.name == "lightkube"
    assert "lightkube" not in sys.modules
