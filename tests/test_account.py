"""setup-account.yaml: a budget that sends e-mails."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from satcomp_infra import template

FILE = Path(__file__).parent.parent / "setup-account.yaml"
DOCUMENT: dict[str, Any] = template.read(FILE.read_text())
BUDGET = DOCUMENT["Resources"]["Budget"]["Properties"]


def test_cfn_lint_has_nothing_to_say() -> None:
    run = "import sys, cfnlint.runner; sys.exit(cfnlint.runner.main())"
    lint = subprocess.run([sys.executable, "-c", run, FILE], capture_output=True, text=True, check=False)
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")


def test_it_warns_at_each_step_of_the_budget() -> None:
    notifications = [each["Notification"] for each in BUDGET["NotificationsWithSubscribers"]]
    assert [each["Threshold"] for each in notifications] == [20, 40, 60, 80, 90, 95, 100]
    for each in notifications:
        assert (each["NotificationType"], each["ThresholdType"]) == ("ACTUAL", "PERCENTAGE")
    subscribers = [each["Subscribers"] for each in BUDGET["NotificationsWithSubscribers"]]
    assert all(len(each) == 1 and each[0]["SubscriptionType"] == "EMAIL" for each in subscribers)


def test_the_address_can_be_changed_by_an_update() -> None:
    """With a name, the new budget could not be made while the old one is there."""
    assert "BudgetName" not in BUDGET["Budget"]


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("team@example.org", True),
        ("first.last+sat@uni-x.example.ac.uk", True),
        ("team@example", False),
        ("team", False),
        ("a@b.org,c@d.org", False),
        ("A Team <team@example.org>", False),
        ("", False),
    ],
)
def test_only_an_e_mail_address_is_taken(address: str, fits: bool) -> None:
    pattern = DOCUMENT["Parameters"]["emailAddress"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, address)) is fits


def test_the_readme_creates_it_with_its_own_parameters() -> None:
    readme = (FILE.parent / "README.md").read_text()
    (line,) = re.findall(r"aws cloudformation create-stack (?:.*\\\n)*.*", readme)
    assert f"file://{FILE.name}" in line
    assert set(re.findall(r"ParameterKey=(\w+)", line)) <= set(DOCUMENT["Parameters"])
