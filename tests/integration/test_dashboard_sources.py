"""The dashboard's own checks: types, format, its unit tests."""

from __future__ import annotations

import pytest

import hatch_build

DASHBOARD = hatch_build.Path(hatch_build.__file__).parent / "dashboard"

pytestmark = pytest.mark.skipif(
    not (DASHBOARD / "node_modules" / "vitest").is_dir(), reason="the dashboard's packages are not installed (make web)"
)


@pytest.mark.parametrize("script", ["typecheck", "format:check", "test"])
def test_the_dashboard_keeps_its_own_rules(script: str):
    hatch_build.find_node().run_npm("run", script, folder=DASHBOARD)  # raises with all that it said


def test_the_lock_names_no_registry():
    for lock in (DASHBOARD / "package-lock.json", DASHBOARD.parent / "tests/e2e/js/package-lock.json"):
        assert '"resolved"' not in lock.read_text()
        assert '"integrity"' in lock.read_text()
