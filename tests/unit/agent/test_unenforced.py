"""What is accepted and not enforced is said, once."""

from __future__ import annotations

import logging

import pytest

from kubatch.agent.unenforced import Unenforced, unenforced
from kubatch.api import models as m
from kubatch.api.models import core_v1
from tests.unit.agent.pods import container, pod

DEFAULT = core_v1.SeccompProfile(type="RuntimeDefault")


def test_what_is_asked_for() -> None:
    own = m.SecurityContext(
        appArmorProfile=core_v1.AppArmorProfile(type="RuntimeDefault"),
        seLinuxOptions=core_v1.SELinuxOptions(level="s0"),
    )
    p = pod(
        container(securityContext=own), securityContext=m.PodSecurityContext(seccompProfile=DEFAULT)
    )
    assert sorted(unenforced(p)) == ["appArmorProfile", "seLinuxOptions", "seccompProfile"]
    open_ = m.PodSecurityContext(seccompProfile=core_v1.SeccompProfile(type="Unconfined"))
    assert list(unenforced(pod(securityContext=open_))) == []


def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    told = Unenforced()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            told.look(pod(securityContext=m.PodSecurityContext(seccompProfile=DEFAULT)))
    (record,) = caplog.records
    assert "seccompProfile is accepted and not enforced" in record.getMessage()
