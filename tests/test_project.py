"""Names: which are accepted, what is said of the others, and what everything is called."""

import re

import pytest

from satcomp_infra.errors import UsageError
from satcomp_infra.project import Project

REFUSED = [
    "1abc",
    "Abc",
    "a--",
    "a//b",
    "-a",
    "a" * 50,
    "",
    "a",
    "a_-b",
    "a___b",
    "/a",
    "a/",
    "a.b",
    "a b",
    "é",
    "x-s3alias",
]


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_aws_would_refuse_is_refused_with_one_that_works(name: str) -> None:
    with pytest.raises(UsageError) as refusal:
        Project(name)
    assert f"'{name}'" in refusal.value.message
    suggestion = re.search(r"'(.+)'", refusal.value.advice)
    assert suggestion
    Project(suggestion[1]).names("123456789012", "us-east-1")


@pytest.mark.parametrize("name", ["ab", "my-solver", "team/solver_1", "a--b", "a__b", "a/b/c", "x1", "a" * 40])
def test_a_name_that_every_service_takes_is_accepted(name: str) -> None:
    assert Project(name).name == name


def test_every_name_comes_from_the_project() -> None:
    names = Project("team/solver_1").names("123456789012", "eu-central-1")
    assert names.stack == "job-queue-team-solver-1"
    assert names.bucket == "123456789012-eu-central-1-team-solver-1"
    assert names.job_queue == "123456789012-eu-central-1-SatCompQueue"
    assert names.result_queue == "123456789012-eu-central-1-SatCompOutputQueue"
    assert names.dead_letter_queue == "123456789012-eu-central-1-SatCompDeadLetterQueue"
    assert names.repository == "team/solver_1"
    assert names.leader_log_group == "/ecs/team/solver_1-leader"
    assert names.worker_log_group == "/ecs/team/solver_1-worker"


def test_a_region_with_a_long_name_leaves_less_room() -> None:
    project = Project("a" * 40)
    project.names("123456789012", "us-east-1")
    with pytest.raises(UsageError, match="at most 35 characters"):
        project.names("123456789012", "ap-southeast-1")


@pytest.mark.parametrize("name", ["team/solver_1", "a" * 40, "a--b"])
def test_names_keep_to_the_rules_of_their_services(name: str) -> None:
    names = Project(name).names("123456789012", "us-east-1")
    assert re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]{0,127}", names.stack)
    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", names.bucket)
    assert re.fullmatch(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*", names.repository)
    assert len(names.dead_letter_queue) <= 80
