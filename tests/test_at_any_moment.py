"""The life cycle's commands as programs, against the local cloud, while things go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from satcomp_infra.local import cloud
from satcomp_infra.local.cloud import LocalCloud
from satcomp_infra.local.faults import CallFault, StackFault
from satcomp_infra.local.walkthrough import register_images

from .typing_commands import plain, too_wide

ROOT = Path(__file__).parent.parent
PROJECT = "team/solver_1"
CREATE = ("create-solver-infrastructure", "--project", PROJECT, "--solver-type", "cloud")
SWITCH = ("update-solver-infrastructure", "--project", PROJECT, "--solver-type", "parallel")
DELETE = ("delete-solver-infrastructure", "--project", PROJECT, "--yes")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running() -> Iterator[LocalCloud]:
    with cloud.start(stack_delay=0.4) as local:
        yield local


@pytest.fixture
def local(running: LocalCloud) -> Iterator[LocalCloud]:
    """A local cloud with nothing in it, in which nothing goes wrong yet."""
    yield running
    running.set_faults(calls=None, stacks=None)
    if status(running):
        assert typed(running, *DELETE).returncode == 0


def start(local: LocalCloud, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ROOT / words[0], *words[1:]],
        env={**os.environ, **local.environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def typed(local: LocalCloud, *words: str) -> subprocess.CompletedProcess[str]:
    with start(local, *words) as process:
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def status(local: LocalCloud) -> list[str]:
    return [stack["StackStatus"] for stack in local.client("cloudformation").describe_stacks()["Stacks"]]


def test_a_creation_that_fails_names_the_first_cause_and_what_to_do(local: LocalCloud) -> None:
    reason = "The maximum number of VPCs has been reached."
    local.set_faults(stacks=[StackFault("Vpc", reason)])
    failed = typed(local, *CREATE)
    assert failed.returncode == 1
    assert "What failed first was Vpc (AWS::EC2::VPC): The maximum number of VPCs has been reached." in plain(
        failed.stderr
    )
    told = plain(failed.stderr).partition("What failed first")[2]
    assert "delete one that isn't used" in told
    assert "cancelled" not in told
    local.set_faults(stacks=None)
    again = typed(local, *CREATE)
    assert again.returncode == 0, again.stderr
    assert "removing its empty stack first" in again.stderr


def test_a_switch_that_fails_is_put_back_and_says_so(local: LocalCloud) -> None:
    assert typed(local, *CREATE).returncode == 0
    local.set_faults(stacks=[StackFault("ParallelLaunchTemplate", "Not today.", "create")])
    failed = typed(local, *SWITCH)
    assert failed.returncode == 1
    assert "put it back as it was. What failed first was ParallelLaunchTemplate" in plain(failed.stderr)
    local.set_faults(stacks=None)
    assert "for the cloud track already" in typed(local, *SWITCH[:-1], "cloud").stdout
    assert typed(local, *SWITCH).returncode == 0


def test_a_deletion_that_fails_says_what_is_left_and_may_be_repeated(local: LocalCloud) -> None:
    assert typed(local, *CREATE).returncode == 0
    local.set_faults(stacks=[StackFault("Vpc", "The vpc has dependencies.", "delete")])
    failed = typed(local, *DELETE)
    assert failed.returncode == 1
    assert "What failed first was Vpc (AWS::EC2::VPC): The vpc has dependencies." in plain(failed.stderr)
    local.set_faults(stacks=None)
    assert typed(local, *DELETE).returncode == 0


@pytest.mark.parametrize(
    ("how", "after"),
    [(signal.SIGKILL, 0.5), (signal.SIGINT, 0.7), (signal.SIGKILL, 1.0)],
)
def test_a_creation_cut_off_at_any_moment_is_taken_up_again(
    local: LocalCloud, how: signal.Signals, after: float
) -> None:
    with start(local, *CREATE) as first:
        time.sleep(after)
        first.send_signal(how)
        _, err = first.communicate()
    if how is signal.SIGINT and first.returncode:
        assert first.returncode in (130, -signal.SIGINT), err  # the second is what a shell shows as 130, too
        assert "Traceback" not in err
    again = typed(local, *CREATE)
    assert again.returncode == 0, again.stderr
    assert status(local) == ["CREATE_COMPLETE"]
    bucket = local.client("s3").list_buckets()["Buckets"][0]["Name"]
    local.client("s3").head_object(Bucket=bucket, Key="test.cnf")


@pytest.mark.parametrize("after", [0.5, 0.9])
def test_a_deletion_cut_off_at_any_moment_is_taken_up_again(local: LocalCloud, after: float) -> None:
    assert typed(local, *CREATE).returncode == 0
    with start(local, *DELETE) as first:
        time.sleep(after)
        first.kill()
    again = typed(local, *DELETE)
    assert again.returncode == 0, again.stderr
    assert status(local) == []
    assert local.client("s3").list_buckets()["Buckets"] == []


def test_two_deletions_at_once_do_no_harm(local: LocalCloud) -> None:
    assert typed(local, *CREATE).returncode == 0
    with start(local, *DELETE) as first, start(local, *DELETE) as second:
        answers = [first.communicate(timeout=60), second.communicate(timeout=60)]
    assert [first.returncode, second.returncode] == [0, 0], answers
    assert status(local) == []


def test_two_creations_at_once_make_one(local: LocalCloud) -> None:
    with start(local, *CREATE) as first, start(local, *CREATE) as second:
        answers = [first.communicate(timeout=60), second.communicate(timeout=60)]
    assert [first.returncode, second.returncode] == [0, 0], answers
    assert status(local) == ["CREATE_COMPLETE"]


def test_with_one_call_in_five_failing_all_commands_succeed(local: LocalCloud) -> None:
    local.set_faults(
        calls=[CallFault(probability=0.1, failure="throttled"), CallFault(probability=0.1, failure="unavailable")]
    )
    assert typed(local, *CREATE).returncode == 0
    local.set_faults(calls=None)
    register_images(local)
    local.set_faults(
        calls=[CallFault(probability=0.1, failure="throttled"), CallFault(probability=0.1, failure="unavailable")]
    )
    setup = typed(local, "update_instances", "--option", "setup", "--workers", "1")
    assert setup.returncode == 0, setup.stderr
    bucket = "123456789012-us-east-1-team-solver-1"
    sent = typed(
        local,
        *("send_message", "--location", f"s3://{bucket}/test.cnf", "--workers", "1", "--timeout", "30"),
        "--await-response",
    )
    assert sent.returncode == 0, sent.stderr
    assert "\nSAT in " in sent.stdout
    for words in (("update_instances", "--option", "shutdown"), SWITCH, DELETE):
        answer = typed(local, *words)
        assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("expired-token", "Your AWS credentials have expired."),
        ("unknown-key", "AWS doesn't accept your credentials"),
        ("access-denied", "Your AWS user may not call"),
    ],
)
def test_credentials_that_wont_do_are_told_in_a_sentence(local: LocalCloud, failure: str, said: str) -> None:
    local.set_faults(calls=[CallFault(failure=failure)])
    for words in (CREATE, SWITCH, DELETE, ("update_instances", "--option", "shutdown")):
        answer = typed(local, *words)
        assert answer.returncode == 1
        assert said in plain(answer.stderr)
        assert "Traceback" not in answer.stderr
        assert too_wide(answer.stderr) == []


def test_a_project_in_another_region_is_found(local: LocalCloud) -> None:
    assert typed(local, *CREATE, "--region", "eu-central-1").returncode == 0
    for words in (("update_instances", "--option", "shutdown"), DELETE, SWITCH):
        answer = typed(local, *words)
        assert answer.returncode == 1
        assert f"but of '{PROJECT}' in eu-central-1. Type: --region eu-central-1" in plain(answer.stderr)
    assert typed(local, *DELETE, "--region", "eu-central-1").returncode == 0
