"""From actions that are needed to IAM policies: which resources each action is allowed on, and how that is written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from satcomp_infra.local.settings import ACCOUNT
from satcomp_infra.project import CLUSTER, NODE_MANIFEST_TABLE, PROJECT_TAG, TASK_END_TABLE
from satcomp_infra.tracks import TRACKS

SIZE_LIMIT = 6_144
"""Characters of a managed policy, white space not counted (IAM user guide, «IAM and AWS STS quotas»)."""

Policy = dict[str, Any]

# Accounts and regions are left open: a policy is about its own account anyway, but for S3, whose ARNs have none. The
# names are those of satcomp_infra/project.py.
_BUCKETS = "arn:aws:s3:::${aws:PrincipalAccount}-*"
_STACKS = "arn:aws:cloudformation:*:*:stack/job-queue-*/*"
_ROLES = "arn:aws:iam::*:role/job-queue-*"
# «The tag is missing: no.»
_HAS_TAG = {"Null": {f"aws:ResourceTag/{PROJECT_TAG}": "false"}}


def _ec2(*kinds: str) -> tuple[str, ...]:
    return tuple(f"arn:aws:ec2:*:{'' if kind == 'image' else '*'}:{kind}/*" for kind in kinds)


@dataclass(frozen=True, eq=False)
class Grant:
    """Actions, as patterns, and what they are allowed on. `why` says why it is everything, where it is."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    condition: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""


_TAGGED_NETWORK = ("vpc", "subnet", "internet-gateway", "route-table", "security-group", "vpc-endpoint")
_NETWORK = (*_TAGGED_NETWORK, "security-group-rule", "launch-template", "network-interface")

GRANTS = (
    # ---- What has no resources
    Grant(
        "LookAround",
        (
            *("autoscaling:Describe*", "ec2:Describe*", "logs:DescribeLogGroups", "logs:Describe*Policies"),
            *("servicequotas:Get*", "ecs:DescribeTaskDefinition", "cloudformation:ListStacks"),
        ),
        why="AWS has no resources for nearly all of them; they only read",
    ),
    Grant(
        "LogInToRegistry", ("ecr:GetAuthorizationToken",), why="AWS has no resources for it; it opens nothing itself"
    ),
    Grant(
        "RetireTasksMakeFileSystem",
        ("ecs:DeregisterTaskDefinition", "elasticfilesystem:CreateFileSystem"),
        why="AWS has no resources for them",
    ),
    # ---- By name
    Grant("FindProjects", ("cloudformation:DescribeStacks",), ("arn:aws:cloudformation:*:*:stack/*/*",)),
    Grant("Stacks", ("cloudformation:*",), (_STACKS,)),
    Grant(
        "Objects",
        ("s3:GetObject", "s3:PutObject", "s3:DeleteObject*", "s3:AbortMultipartUpload"),
        (f"{_BUCKETS}/*",),
    ),
    Grant("Buckets", ("s3:*",), (_BUCKETS,)),
    Grant("Queues", ("sqs:*",), ("arn:aws:sqs:*:*:*-SatComp*Queue",)),
    Grant(
        "Tables",
        ("dynamodb:*",),
        tuple(
            f"arn:aws:dynamodb:*:*:table/{table}{part}"
            for table in (NODE_MANIFEST_TABLE, TASK_END_TABLE)
            for part in (
                "",
                "/stream/*",
            )  # IAM wants streams named for dynamodb:GetResourcePolicy, though none is there
        ),
    ),
    Grant(
        "ContainersTags",
        ("ecs:TagResource", "ecs:UntagResource", "ecs:ListTagsForResource"),
        (
            f"arn:aws:ecs:*:*:cluster/{CLUSTER}",
            f"arn:aws:ecs:*:*:service/{CLUSTER}/*",
            "arn:aws:ecs:*:*:task-definition/*-leader:*",
            "arn:aws:ecs:*:*:task-definition/*-worker:*",
        ),
    ),
    Grant(
        "Cluster", ("ecs:*Cluster", "ecs:*Clusters", "ecs:*ClusterSettings"), (f"arn:aws:ecs:*:*:cluster/{CLUSTER}",)
    ),
    Grant(
        "TaskDefinitions",
        ("ecs:RegisterTaskDefinition",),
        ("arn:aws:ecs:*:*:task-definition/*-leader:*", "arn:aws:ecs:*:*:task-definition/*-worker:*"),
    ),
    Grant("Tasks", ("ecs:DescribeTasks", "ecs:StopTask"), (f"arn:aws:ecs:*:*:task/{CLUSTER}/*",)),
    Grant(
        "Machines",
        ("ecs:*ContainerInstance*", "ecs:ListTasks"),
        (f"arn:aws:ecs:*:*:cluster/{CLUSTER}", f"arn:aws:ecs:*:*:container-instance/{CLUSTER}/*"),
    ),
    Grant(
        "ServiceDeployments",
        ("ecs:*ServiceDeployment", "ecs:*ServiceDeployments"),
        (f"arn:aws:ecs:*:*:service/{CLUSTER}/*", f"arn:aws:ecs:*:*:service-deployment/{CLUSTER}/*"),
    ),
    Grant("Services", ("ecs:*Service", "ecs:*Services"), (f"arn:aws:ecs:*:*:service/{CLUSTER}/*",)),
    Grant(
        "Group", ("autoscaling:*",), ("arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/job-queue-*",)
    ),
    Grant("Logs", ("logs:*",), tuple(f"arn:aws:logs:*:*:log-group:/ecs/*-{role}*" for role in ("leader", "worker"))),
    Grant("Image", ("ssm:GetParameters",), ("arn:aws:ssm:*:*:parameter/aws/service/ecs/optimized-ami/*",)),
    # ---- A repository may have any name. What changes images is allowed where the project's tag is
    Grant(
        "Images",
        ("ecr:BatchDeleteImage", "ecr:PutImage", "ecr:*Upload", "ecr:UploadLayerPart", "ecr:DeleteRepository"),
        ("arn:aws:ecr:*:*:repository/*",),
        _HAS_TAG,
    ),
    Grant("Repositories", ("ecr:*",), ("arn:aws:ecr:*:*:repository/*",)),
    # ---- Ids that AWS makes up: by kind, and what destroys, where the project's tag is
    Grant(
        "RemoveFiles",
        ("elasticfilesystem:Delete*",),
        ("arn:aws:elasticfilesystem:*:*:file-system/*", "arn:aws:elasticfilesystem:*:*:access-point/*"),
        _HAS_TAG,
    ),
    Grant(
        "Files",
        ("elasticfilesystem:*",),
        ("arn:aws:elasticfilesystem:*:*:file-system/*", "arn:aws:elasticfilesystem:*:*:access-point/*"),
    ),
    Grant(
        "RemoveNetwork",
        tuple(
            f"ec2:Delete{kind}"
            for kind in ("Vpc", "Subnet", "InternetGateway", "RouteTable", "SecurityGroup", "VpcEndpoints")
        ),
        _ec2(*_TAGGED_NETWORK),
        _HAS_TAG,
    ),
    Grant(
        "Tags",
        ("ec2:CreateTags",),
        _ec2(*_TAGGED_NETWORK, "security-group-rule", "launch-template", "instance", "volume"),
    ),
    # Of what is started with a machine, only the machine itself has a type.
    Grant(
        "RunMachinesOfTheTracks",
        ("ec2:RunInstances",),
        _ec2("image", "instance", "launch-template", "network-interface", "security-group", "subnet", "volume"),
        {"StringEqualsIfExists": {"ec2:InstanceType": sorted(track.instance_type for track in TRACKS.values())}},
    ),
    Grant("Network", ("ec2:*",), _ec2(*_NETWORK)),
    # ---- Roles
    Grant(
        "PassRoles",
        ("iam:PassRole",),
        (_ROLES,),
        {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]}},
    ),
    Grant(
        "RolesOfServices",
        ("iam:CreateServiceLinkedRole",),
        ("arn:aws:iam::*:role/aws-service-role/*",),
        {
            "StringEquals": {
                "iam:AWSServiceName": [
                    "autoscaling.amazonaws.com",
                    "ecs.amazonaws.com",
                    "elasticfilesystem.amazonaws.com",
                ]
            }
        },
    ),
    Grant("InstanceProfiles", ("iam:*InstanceProfile",), ("arn:aws:iam::*:instance-profile/job-queue-*",)),
    Grant("Roles", ("iam:*",), (_ROLES,)),
)
"""The first whose patterns an action matches decides what it is allowed on."""


def policy(needed: Iterable[str]) -> Policy:
    """A policy that allows these actions, on what they are for. Raises ValueError for one that no grant is about."""
    chosen: dict[Grant, list[str]] = {}
    for action in sorted(set(needed)):
        grant = next((each for each in GRANTS if _is_about(each, action)), None)
        if grant is None:
            raise ValueError(f"tools/policies.py doesn't say yet what {action} shall be allowed on")
        chosen.setdefault(grant, []).append(action)
    statements = [_statement(grant, chosen[grant]) for grant in GRANTS if grant in chosen]
    return {"Version": "2012-10-17", "Statement": statements}


def size(document: Policy) -> int:
    """How much of `SIZE_LIMIT` a policy takes."""
    return len(json.dumps(document, separators=(",", ":")))


def text(document: Policy) -> str:
    """A policy as a file: short lists on one line."""
    lines = json.dumps(document, indent=2)
    return re.sub(r"\[\s+(\"[^\"]*\")\s+\]", r"[\1]", lines) + "\n"


def allows(documents: Sequence[Policy], action: str, resource: str) -> bool:
    """Whether one of the policies allows an action on a resource; `*` stands for any. Conditions are taken as met."""
    return any(
        any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        and any(resource == "*" or _names(arn, resource) for arn in listed(statement["Resource"]))
        for document in documents
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
    )


def listed(value: str | list[str]) -> list[str]:
    """What a policy may write alone or in a list, as a list."""
    return [value] if isinstance(value, str) else value


def _names(arn: str, resource: str) -> bool:
    return fnmatchcase(resource, arn.replace("${aws:PrincipalAccount}", ACCOUNT))


def _is_about(grant: Grant, action: str) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in grant.actions)


def _statement(grant: Grant, actions: list[str]) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": grant.sid,
        "Effect": "Allow",
        "Action": actions,
        "Resource": list(grant.resources),
    }
    if grant.condition:
        statement["Condition"] = dict(grant.condition)
    return statement
