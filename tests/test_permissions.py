"""What the walkthrough really calls, and the policies that allow it: docs/iam-policy*.json, and the nodes' role."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore import xform_name

from satcomp_infra.aws import Aws
from satcomp_infra.local.settings import ACCOUNT
from satcomp_infra.project import Project
from satcomp_infra.template import read, render
from satcomp_infra.tracks import TRACKS
from tools import needs, permissions, policies, rendering
from tools.recording import NAMES, Call, Recording, commands

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "docs").glob("iam-policy*.json"))


def documents() -> list[Any]:
    return [json.loads(file.read_text()) for file in FILES]


@pytest.mark.slow
@pytest.mark.usefixtures("nodes_settle")
def test_the_walkthrough_calls_what_it_may_and_says_whose_the_bucket_must_be() -> None:
    found = permissions.find_out()  # half a minute: all that there is to say of it is said here
    calls, of_nodes = found.recording.calls, found.recording.nodes
    assert {call.name for call in calls} <= set(found.recording.received), "some went past the local cloud"

    assert forbidden(calls, documents()) == [], "see tools/needs.py and tools/policies.py; then type: make docs"
    assert permissions.stale(permissions.files(found)) == [], "type: make docs"
    assert {call.command for call in calls} == set(commands()), "let tools/recording.py type them all"
    assert unrecorded(found.recording) == set(), "let tools/recording.py type a command that makes them"

    for track in TRACKS.values():
        template = read(render(Project("team/solver_1"), track, ["us-east-1a"]))
        roles = [policy for name, policy in rendering.policies(template) if name.startswith("TaskRole-Policies")]
        assert forbidden(of_nodes, roles) == []

    of_s3 = [call for call in (*calls, *of_nodes) if call.service == "s3"]
    assert {"PutObject", "GetObject", "HeadObject", "DeleteObjects"} <= {call.operation for call in of_s3}
    assert {call.operation for call in of_nodes if call.service == "s3"} == {"GetObject", "PutObject"}
    for call in of_s3:
        assert call.parameters["Bucket"] == NAMES.bucket
        assert call.parameters["ExpectedBucketOwner"] == ACCOUNT, call.name


def forbidden(calls: list[Call], allowed: list[Any]) -> list[str]:
    """What of the calls the policies don't allow."""
    assert calls
    return sorted(
        {
            f"{call.command}: {action} on {resource}"
            for call in calls
            for action in needs.actions(call)
            for resource in needs.resources(call, action)
            if not policies.allows(allowed, action, resource)
        }
    )


def unrecorded(recording: Recording) -> set[str]:
    """The calls that stand in the commands' source and that nobody made."""
    recorded = {call.name for call in recording.calls} | set(needs.NOT_PROVOKED)
    session = botocore.session.get_session()
    services = {name.replace("_", "-") for name, value in vars(Aws).items() if isinstance(value, property)} & set(
        session.get_available_services()
    )
    assert len(services) >= 8
    operations: dict[str, set[str]] = {}
    for service in services:
        for operation in session.get_service_model(service).operation_names:
            operations.setdefault(xform_name(operation), set()).add(f"{service}.{operation}")
    return {
        " or ".join(sorted(operations[name]))
        for name in named_in_source()
        if name in operations and name != "get_template" and not operations[name] & recorded  # that one is Jinja's
    }


def named_in_source() -> Iterator[str]:
    """The methods that the commands call, and the names of the paginators they use."""
    for file in (ROOT / "satcomp_infra").rglob("*.py"):
        if {"node", "local"} & set(file.relative_to(ROOT).parts):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield node.func.attr
                if node.func.attr == "get_paginator" and isinstance(node.args[0], ast.Constant):
                    yield str(node.args[0].value)


def test_there_are_policies_that_fit_into_aws_s_limit() -> None:
    assert [file.name for file in FILES] == sorted([permissions.COMMANDS, permissions.NETWORK, permissions.STACK])
    for document in documents():
        assert policies.size(document) <= policies.SIZE_LIMIT


def test_iam_takes_them_as_they_are(aws: None) -> None:
    for file in FILES:  # moto checks a document's form as IAM does
        boto3.client("iam").create_policy(PolicyName=file.stem, PolicyDocument=file.read_text())


def test_a_statement_about_everything_says_why() -> None:
    reasons = {grant.sid: grant.why for grant in policies.GRANTS}
    for document in documents():
        for statement in document["Statement"]:
            assert ("*" in statement["Resource"]) == bool(reasons[statement["Sid"]]), statement["Sid"]


def test_roles_are_made_and_passed_by_the_project_s_names_to_its_services_only() -> None:
    iam = [
        statement
        for document in documents()
        for statement in document["Statement"]
        if any(action.startswith("iam:") for action in statement["Action"])
    ]
    assert iam
    for statement in iam:
        for resource in statement["Resource"]:
            assert resource.startswith(
                ("arn:aws:iam::*:role/job-queue-", "arn:aws:iam::*:instance-profile/job-queue-")
            ) or (
                resource == "arn:aws:iam::*:role/aws-service-role/*"
                and "iam:AWSServiceName" in str(statement["Condition"])
            )
        assert "iam:PassRole" not in statement["Action"] or "iam:PassedToService" in str(statement["Condition"])
        assert not {"iam:AttachRolePolicy", "iam:CreateUser", "iam:CreateAccessKey"} & set(statement["Action"])


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", f"arn:aws:s3:::{ACCOUNT}-us-east-1-p/test.cnf"),
        ("sqs:SendMessage", f"arn:aws:sqs:eu-west-1:{ACCOUNT}:{ACCOUNT}-eu-west-1-SatCompQueue"),
        ("autoscaling:DescribeAutoScalingGroups", "*"),
    ],
)
def test_what_the_project_s_names_are_for_is_allowed(action: str, resource: str) -> None:
    assert policies.allows(documents(), action, resource)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", "arn:aws:s3:::999999999999-us-east-1-p/test.cnf"),
        ("s3:DeleteObject", "arn:aws:s3:::thesis/chapter-1"),
        ("sqs:DeleteMessage", f"arn:aws:sqs:us-east-1:{ACCOUNT}:other"),
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/other/*"),
        ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/Admin"),
        ("iam:AttachUserPolicy", "*"),
        ("ec2:TerminateInstances", "*"),
        ("ssm:GetParameters", f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/password"),
    ],
)
def test_what_is_somebody_else_s_is_not(action: str, resource: str) -> None:
    assert not policies.allows(documents(), action, resource)


def test_a_property_that_comes_into_use_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(needs._UNUSED_PROPERTIES, "AWS::S3::Bucket", {"BucketEncryption": ()})
    with pytest.raises(ValueError, match="BucketEncryption"):
        needs.of_the_stack()


def test_an_action_that_nobody_has_thought_of_is_noticed() -> None:
    with pytest.raises(ValueError, match="rds:CreateDBInstance"):
        policies.policy(["rds:CreateDBInstance"])
    with pytest.raises(KeyError, match="RestoreObject"):
        needs.actions(Call("x", "s3", "s3", "RestoreObject", "us-east-1", {}))
