"""What every test gets."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no reason to fail: how long an example takes is a matter for bench/.
settings.register_profile("kubatch", deadline=None)
settings.load_profile("kubatch")
