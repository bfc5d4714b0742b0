"""The life cycle's commands against the local cloud, while things go wrong.

Where commands are cut off, or are at work at the same time, they are programs; otherwise they run in this process.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from satcomp_infra.local import cloud
from satcomp_infra.local.cloud import LocalCloud
from satcomp_infra.local.faults import CallFault, StackFault
from satcomp_infra.local.walkthrough import register_images

from .typing_commands import plain, run_in_time, too_wide
from .waiting import eventually

ROOT = Path(__file__).parent.parent
PROJECT = "team/solver_1"
CREATE = ("create", "--project", PROJECT, "--solver-type", "cloud")
SWITCH = ("update", "--project", PROJECT, "--solver-type", "parallel")
DELETE = ("delete", "--project", PROJECT, "--yes")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running() -> Iterator[LocalCloud]:
    with cloud.start(stack_delay=0.4) as local:
        yield local


@pytest.fixture
def local(running: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    """A local cloud with nothing in it, in which nothing goes wrong yet; commands are led there."""
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    yield running
    running.set_faults(calls=None, stacks=None)
    if status(running):
        assert run_in_time(*DELETE).code == 0


def start(command: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ROOT / f"{command}-solver-infrastructure", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def status(local: LocalCloud) -> list[str]:
    return [stack["StackStatus"] for stack in local.client("cloudformation").describe_stacks()["Stacks"]]


def test_a_creation_that_fails_names_the_first_cause_and_what_to_do(local: LocalCloud) -> None:
    reason = "The maximum number of VPCs has been reached."
    local.set_faults(stacks=[StackFault("Vpc", reason)])
    failed = run_in_time(*CREATE)
    assert failed.code == 1
    assert "What failed first was Vpc (AWS::EC2::VPC): The maximum number of VPCs has been reached." in plain(
        failed.err
    )
    told = plain(failed.err).partition("What failed first")[2]
    assert "delete one that isn't used" in told
    assert "cancelled" not in told
    local.set_faults(stacks=None)
    again = run_in_time(*CREATE)
    assert again.code == 0, again.err
    assert "removing its empty stack first" in again.err


def test_a_switch_that_fails_is_put_back_and_says_so(local: LocalCloud) -> None:
    assert run_in_time(*CREATE).code == 0
    local.set_faults(stacks=[StackFault("ParallelLaunchTemplate", "Not today.", "create")])
    failed = run_in_time(*SWITCH)
    assert failed.code == 1
    assert "put it back as it was. What failed first was ParallelLaunchTemplate" in plain(failed.err)
    local.set_faults(stacks=None)
    assert "for the cloud track already" in run_in_time(*SWITCH[:-1], "cloud").out
    assert run_in_time(*SWITCH).code == 0


def test_a_deletion_that_fails_says_what_is_left_and_may_be_repeated(local: LocalCloud) -> None:
    assert run_in_time(*CREATE).code == 0
    local.set_faults(stacks=[StackFault("Vpc", "The vpc has dependencies.", "delete")])
    failed = run_in_time(*DELETE)
    assert failed.code == 1
    assert "What failed first was Vpc (AWS::EC2::VPC): The vpc has dependencies." in plain(failed.err)
    local.set_faults(stacks=None)
    assert run_in_time(*DELETE).code == 0


@pytest.mark.parametrize(
    ("how", "call"),
    [
        (signal.SIGKILL, "sts.GetCallerIdentity"),
        (signal.SIGINT, "cloudformation.CreateStack"),
        (signal.SIGKILL, "cloudformation.DescribeStackEvents"),
    ],
)
def test_a_creation_cut_off_at_any_moment_is_taken_up_again(local: LocalCloud, how: signal.Signals, call: str) -> None:
    local.forget_calls()
    with start(*CREATE) as first:
        eventually(lambda: local.calls().get(call), call)
        first.send_signal(how)
        _, err = first.communicate()
    if how is signal.SIGINT and first.returncode:
        assert first.returncode == 130, err
        assert "Traceback" not in err
    again = run_in_time(*CREATE)
    assert again.code == 0, again.err
    assert status(local) == ["CREATE_COMPLETE"]
    bucket = local.client("s3").list_buckets()["Buckets"][0]["Name"]
    local.client("s3").head_object(Bucket=bucket, Key="test.cnf")


@pytest.mark.parametrize("call", ["cloudformation.DescribeStacks", "cloudformation.DeleteStack"])
def test_a_deletion_cut_off_at_any_moment_is_taken_up_again(local: LocalCloud, call: str) -> None:
    assert run_in_time(*CREATE).code == 0
    local.forget_calls()
    with start(*DELETE) as first:
        eventually(lambda: local.calls().get(call), call)
        first.kill()
    again = run_in_time(*DELETE)
    assert again.code == 0, again.err
    assert status(local) == []
    assert local.client("s3").list_buckets()["Buckets"] == []


def test_two_deletions_at_once_do_no_harm(local: LocalCloud) -> None:
    assert run_in_time(*CREATE).code == 0
    with start(*DELETE) as first, start(*DELETE) as second:
        answers = [first.communicate(), second.communicate()]
    assert [first.returncode, second.returncode] == [0, 0], answers
    assert status(local) == []


def test_two_creations_at_once_make_one(local: LocalCloud) -> None:
    with start(*CREATE) as first, start(*CREATE) as second:
        answers = [first.communicate(), second.communicate()]
    assert [first.returncode, second.returncode] == [0, 0], answers
    assert status(local) == ["CREATE_COMPLETE"]


def test_with_one_call_in_five_failing_all_commands_succeed(local: LocalCloud) -> None:
    local.set_faults(
        calls=[CallFault(probability=0.1, failure="throttled"), CallFault(probability=0.1, failure="unavailable")]
    )
    assert run_in_time(*CREATE).code == 0
    local.set_faults(calls=None)
    register_images(local)
    local.set_faults(
        calls=[CallFault(probability=0.1, failure="throttled"), CallFault(probability=0.1, failure="unavailable")]
    )
    setup = run_in_time("instances", "--option", "setup", "--workers", "1")
    assert setup.code == 0, setup.err
    bucket = "123456789012-us-east-1-team-solver-1"
    words = ("--location", f"s3://{bucket}/test.cnf", "--workers", "1", "--timeout", "60", "--await-response")
    sent = run_in_time("send", *words)
    assert sent.code == 0, sent.err
    assert "\nSAT in " in sent.out
    for words in (("instances", "--option", "shutdown"), SWITCH, DELETE):
        answer = run_in_time(*words)
        assert answer.code == 0, answer.err


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
    for words in (CREATE, SWITCH, DELETE, ("instances", "--option", "shutdown")):
        answer = run_in_time(*words)
        assert answer.code == 1
        assert said in plain(answer.err)
        assert "Traceback" not in answer.err
        assert too_wide(answer.err) == []


def test_a_project_in_another_region_is_found(local: LocalCloud) -> None:
    assert run_in_time(*CREATE, "--region", "eu-central-1").code == 0
    for words in (("instances", "--option", "shutdown"), DELETE, SWITCH):
        answer = run_in_time(*words)
        assert answer.code == 1
        assert f"but of '{PROJECT}' in eu-central-1. Type: --region eu-central-1" in plain(answer.err)
    assert run_in_time(*DELETE, "--region", "eu-central-1").code == 0
