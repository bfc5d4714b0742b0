from __future__ import annotations

import pytest


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that are about something else: pictures take a second to draw."""
    monkeypatch.setattr("satcomp_infra.suites.plots.missing", lambda: "no pictures")
