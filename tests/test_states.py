"""Any state of the stack, any command: what is done is fixed here, for every status that CloudFormation has."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from satcomp_infra.stack import _STATE_OF

from .conftest import ACCOUNT, REGION
from .typing_commands import NAMES, PROJECT, exists, run

pytestmark = pytest.mark.usefixtures("aws")

# What a status becomes while a command waits; those that AWS doesn't leave by itself are missing.
BECOMES = {
    "CREATE_IN_PROGRESS": "CREATE_COMPLETE",
    "ROLLBACK_IN_PROGRESS": "ROLLBACK_COMPLETE",
    "DELETE_IN_PROGRESS": "DELETE_COMPLETE",
    "UPDATE_IN_PROGRESS": "UPDATE_COMPLETE",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_IN_PROGRESS": "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_IN_PROGRESS": "IMPORT_ROLLBACK_COMPLETE",
}

THERE = "exists and is complete"
MADE = "is ready, for the cloud track"
FAILED = "AWS couldn't create the infrastructure"
REMOVE = f"./delete-solver-infrastructure --project {PROJECT}"
SWITCHED = "Switched to the parallel track"
ABSENT = "There is no infrastructure of project"
GONE = "Nothing of it is left"

#  status: what create says, what update (to the other track) says, what delete says
TABLE = {
    "CREATE_COMPLETE": (THERE, SWITCHED, GONE),
    "CREATE_FAILED": (REMOVE, REMOVE, GONE),
    "CREATE_IN_PROGRESS": (THERE, SWITCHED, GONE),
    "DELETE_COMPLETE": (MADE, ABSENT, GONE),
    "DELETE_FAILED": (REMOVE, REMOVE, GONE),
    "DELETE_IN_PROGRESS": (MADE, ABSENT, GONE),
    "IMPORT_COMPLETE": (THERE, SWITCHED, GONE),
    "IMPORT_IN_PROGRESS": (THERE, SWITCHED, GONE),
    "IMPORT_ROLLBACK_COMPLETE": (THERE, SWITCHED, GONE),
    "IMPORT_ROLLBACK_FAILED": (REMOVE, REMOVE, GONE),
    "IMPORT_ROLLBACK_IN_PROGRESS": (THERE, SWITCHED, GONE),
    "REVIEW_IN_PROGRESS": (REMOVE, REMOVE, GONE),
    "ROLLBACK_COMPLETE": (MADE, REMOVE, GONE),
    "ROLLBACK_FAILED": (REMOVE, REMOVE, GONE),
    "ROLLBACK_IN_PROGRESS": (FAILED, REMOVE, GONE),
    "UPDATE_COMPLETE": (THERE, SWITCHED, GONE),
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": (THERE, SWITCHED, GONE),
    "UPDATE_FAILED": (REMOVE, REMOVE, GONE),
    "UPDATE_IN_PROGRESS": (THERE, SWITCHED, GONE),
    "UPDATE_ROLLBACK_COMPLETE": (THERE, SWITCHED, GONE),
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": (THERE, SWITCHED, GONE),
    "UPDATE_ROLLBACK_FAILED": (REMOVE, REMOVE, GONE),
    "UPDATE_ROLLBACK_IN_PROGRESS": (THERE, SWITCHED, GONE),
}
SUCCESSES = (THERE, MADE, SWITCHED, GONE)


class Status:
    """Puts the stack into a status, and lets AWS bring it to the next one while a command sleeps."""

    def __init__(self, status: str) -> None:
        from moto.cloudformation.models import cloudformation_backends

        self._backend = cloudformation_backends[ACCOUNT][REGION]
        (self._stack,) = [stack for stack in self._backend.stacks.values() if stack.name == NAMES.stack]
        self._set(status)

    def _set(self, status: str) -> None:
        if status in ("DELETE_COMPLETE", "ROLLBACK_COMPLETE"):
            boto3.client("s3").delete_object(Bucket=NAMES.bucket, Key="test.cnf")  # nothing is in such a stack
        if status == "DELETE_COMPLETE":
            self._backend.delete_stack(self._stack.name)
        else:
            self._stack.status = status

    def go_on(self) -> None:
        if self._stack.status in BECOMES:
            self._set(BECOMES[self._stack.status])


WORDS = {"create": ("--solver-type", "cloud"), "update": ("--solver-type", "parallel"), "delete": ("--yes",)}


def rows() -> Iterator[tuple[str, list[str]]]:
    """Each command with statuses that can be tried one after the other: what changes nothing needs no new stack."""
    for column, command in enumerate(WORDS):
        harmless = [status for status, said in TABLE.items() if said[column] in (THERE, REMOVE)]
        if harmless:
            yield command, harmless
        yield from ((command, [status]) for status in TABLE if status not in harmless)


@pytest.mark.parametrize(
    ("command", "statuses"), list(rows()), ids=lambda value: value if isinstance(value, str) else value[0]
)
def test_every_command_in_every_state(command: str, statuses: list[str]) -> None:
    column = list(WORDS).index(command)
    exists()
    for status in statuses:
        said = TABLE[status][column]
        world = Status(status)
        answer = run(command, "--project", PROJECT, *WORDS[command], meanwhile=world.go_on)
        assert said in answer.out + answer.err, status
        assert answer.code == (0 if said in SUCCESSES else 1), status
        assert "should not have happened" not in answer.err


def test_the_table_has_every_status_that_is_known_to_aws() -> None:
    statuses = boto3.client("cloudformation").meta.service_model.shape_for("StackStatus").enum
    assert sorted(TABLE) == sorted(statuses)
    assert sorted(_STATE_OF) == sorted(statuses)


def test_jobs_and_machines_wait_until_the_infrastructure_is_settled() -> None:
    exists()
    for status in BECOMES:
        Status(status)
        for words in (
            ("instances", "--option", "shutdown"),
            ("send", "--location", f"s3://{NAMES.bucket}/test.cnf", "--workers", "0"),
        ):
            answer = run(*words)
            assert answer.code == 1
            assert f"({status})" in answer.err
            assert "Wait until that is done" in answer.err
