"""What the template opens, and to whom. `make security` has checkov and parliament look at the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from satcomp_infra.template import render
from satcomp_infra.tracks import CLOUD, PARALLEL, Track

from .test_template import BOTH_TRACKS, PROJECT, ZONES, containers, listed, of_type, only, rendered, user_data

# Each statement that is about everything there is: why it can't be about less.
ABOUT_EVERYTHING = {
    ("InstanceRole", "HoldSessions"): "AWS has no resources for the four actions of ssmmessages",
    ("InstanceRole", "FindServices"): "AWS has no resources for ecr:GetAuthorizationToken and ecs:DiscoverPollEndpoint",
}
WITHOUT_RESOURCES = {
    *("ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel"),
    *("ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"),
    *("ecr:GetAuthorizationToken", "ecs:DiscoverPollEndpoint"),
}


def statements(value: Any, inside: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every policy, whatever it hangs on, with the resource that it is of."""
    if isinstance(value, dict):
        if "Statement" in value:
            for statement in value["Statement"]:
                yield inside, statement
        for name, part in value.items():
            yield from statements(part, inside or name)
    elif isinstance(value, list):
        for part in value:
            yield from statements(part, inside)


def policies_of_resources(track: Track) -> dict[str, dict[str, Any]]:
    """The policies of the bucket, the queues and the file system, by the resource that they protect."""
    document = rendered(track)
    policies = {
        policy["Bucket"]["Ref"]: policy["PolicyDocument"]
        for policy in of_type(document, "AWS::S3::BucketPolicy").values()
    }
    policies |= {
        queue["Ref"]: policy["PolicyDocument"]
        for policy in of_type(document, "AWS::SQS::QueuePolicy").values()
        for queue in policy["Queues"]
    }
    policies["FileSystem"] = only(document, "AWS::EFS::FileSystem")["FileSystemPolicy"]
    return policies


@BOTH_TRACKS
def test_bucket_queues_and_file_system_refuse_connections_that_are_not_encrypted(track: Track) -> None:
    policies = policies_of_resources(track)
    document = rendered(track)
    assert set(policies) == {"FileSystem", *of_type(document, "AWS::S3::Bucket"), *of_type(document, "AWS::SQS::Queue")}
    for name, policy in policies.items():
        (statement,) = policy["Statement"]
        assert statement["Effect"] == "Deny"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert statement["Principal"] in ("*", {"AWS": "*"})
        if name != "FileSystem":
            assert statement["Action"] in ("s3:*", "sqs:*")
            resources = [str(resource) for resource in listed(statement["Resource"])]
            assert all(name in resource for resource in resources)
            assert len(resources) == (2 if name == "Bucket" else 1)  # the bucket, and what is in it


@BOTH_TRACKS
def test_statements_about_everything_are_those_that_aws_cant_narrow(track: Track) -> None:
    everything = {}
    for name, statement in statements(rendered(track)["Resources"]):
        if "*" in listed(statement.get("Resource", [])):
            everything[name, statement["Sid"]] = set(listed(statement["Action"]))
    assert set(everything) == set(ABOUT_EVERYTHING)
    assert set.union(*everything.values()) == WITHOUT_RESOURCES


@BOTH_TRACKS
def test_whoever_is_allowed_something_is_named_and_so_is_what(track: Track) -> None:
    for _, statement in statements(rendered(track)["Resources"]):
        if statement["Effect"] == "Allow":
            assert not [action for action in listed(statement["Action"]) if "*" in action]
            assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys()
            assert "AWS" not in statement.get("Principal", {})  # an account, or all of them: only services are let in


@BOTH_TRACKS
def test_no_role_has_a_policy_that_somebody_else_writes(track: Track) -> None:
    for role in of_type(rendered(track), "AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role


@BOTH_TRACKS
def test_nothing_is_public(track: Track) -> None:
    document = rendered(track)
    assert set(only(document, "AWS::S3::Bucket")["PublicAccessBlockConfiguration"].values()) == {True}
    assert "AccessControl" not in only(document, "AWS::S3::Bucket")
    assert "RepositoryPolicyText" not in only(document, "AWS::ECR::Repository")
    assert "SecurityGroupIngress" not in only(document, "AWS::EC2::SecurityGroup")
    for ingress in of_type(document, "AWS::EC2::SecurityGroupIngress").values():
        assert not {"CidrIp", "CidrIpv6", "SourcePrefixListId"} & ingress.keys()
        assert ingress["SourceSecurityGroupId"] == {"Fn::GetAtt": ["NodeSecurityGroup", "GroupId"]}


@BOTH_TRACKS
def test_containers_get_neither_root_nor_the_docker_socket(track: Track) -> None:
    document = rendered(track)
    for container in containers(document).values():
        assert not {"Privileged", "User", "DockerSecurityOptions"} & container.keys()
        assert "Capabilities" not in container["LinuxParameters"]
    for task in of_type(document, "AWS::ECS::TaskDefinition").values():
        assert not {"PidMode", "IpcMode"} & task.keys()
        assert [volume.get("Host", {}).get("SourcePath", "") for volume in task["Volumes"]] in (
            [""],
            ["/var/lib/satcomp/requests"],
        )


@BOTH_TRACKS
def test_the_template_holds_no_secret(track: Track) -> None:
    environment = {variable["Name"] for one in containers(rendered(track)).values() for variable in one["Environment"]}
    words = r"(?i)password|passwd|secret|private key|AKIA[0-9A-Z]{16}"
    assert not [name for name in environment if re.search(words, name)]
    assert not re.search(words, user_data(rendered(track)))


@pytest.mark.parametrize("track", [CLOUD, PARALLEL], ids=lambda track: track.name)
def test_a_check_that_is_skipped_has_its_reason_beside_it(track: Track) -> None:
    skips = []
    for resource in rendered(track)["Resources"].values():
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert re.fullmatch(r"CKV2?_AWS_\d+", skip["id"])
            assert len(skip["comment"].split()) >= 6, "a reason is a sentence"
            skips.append(skip["id"])
    assert skips
    assert len(re.findall("CKV", render(PROJECT, track, ZONES))) == len(skips)  # and none is switched off elsewhere
