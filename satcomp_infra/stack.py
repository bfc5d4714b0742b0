"""The project's stack: its states, its outputs, how it is found, created and updated."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from .aws import error_code, error_message
from .errors import SatcompError
from .project import PROJECT_TAG
from .tracks import TRACKS, Track

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .aws import Aws
    from .project import Names


class State(Enum):
    """What the twenty statuses of a CloudFormation stack mean to a user."""

    ABSENT = "absent"
    READY = "ready"
    BUSY = "busy"
    BROKEN = "broken"
    """Only deleting helps."""


_STATES = {
    State.READY: (
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    ),
    State.BUSY: (
        "CREATE_IN_PROGRESS",
        "ROLLBACK_IN_PROGRESS",
        "DELETE_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "IMPORT_IN_PROGRESS",
        "IMPORT_ROLLBACK_IN_PROGRESS",
    ),
    State.BROKEN: (
        "CREATE_FAILED",
        "ROLLBACK_COMPLETE",
        "ROLLBACK_FAILED",
        "DELETE_FAILED",
        "UPDATE_FAILED",
        "UPDATE_ROLLBACK_FAILED",
        "IMPORT_ROLLBACK_FAILED",
        "REVIEW_IN_PROGRESS",
    ),
    State.ABSENT: ("DELETE_COMPLETE",),
}
_STATE_OF = {status: state for state, statuses in _STATES.items() for status in statuses}

_BUSY_WITH = {"CREATE": "created", "ROLLBACK": "rolled back", "DELETE": "deleted", "UPDATE": "updated"}


@dataclass(frozen=True)
class Stack:
    """A stack as CloudFormation describes it."""

    id: str
    name: str
    status: str
    reason: str
    tags: Mapping[str, str]
    outputs: Mapping[str, str]

    @classmethod
    def of(cls, description: Any) -> Stack:
        """From an entry of DescribeStacks."""
        return cls(
            id=description["StackId"],
            name=description["StackName"],
            status=description["StackStatus"],
            reason=description.get("StackStatusReason", ""),
            tags={tag["Key"]: tag["Value"] for tag in description.get("Tags", ())},
            outputs={output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", ())},
        )

    @property
    def state(self) -> State:
        """The status reduced. Raises SatcompError for a status that isn't known: it may mean anything."""
        state = _STATE_OF.get(self.status)
        if state is None:
            raise SatcompError(f"Stack {self.name} is in a state that this version doesn't know: {self.status}.")
        return state

    @property
    def project(self) -> str:
        """The name of the project that the stack is of; empty for a stack of something else."""
        return self.tags.get(PROJECT_TAG, "")

    @property
    def doing(self) -> str:
        """What is being done to a busy stack, as in `it is being created`."""
        return _BUSY_WITH.get(self.status.partition("_")[0], "changed")


@dataclass(frozen=True)
class Infrastructure:
    """A complete project in AWS, by the outputs of its stack: every name that a command needs."""

    project: str
    stack: str
    track: Track
    zones: tuple[str, ...]
    subnets: tuple[str, ...]
    bucket: str
    job_queue: str
    result_queue: str
    dead_letter_queue: str
    cluster: str
    leader_service: str
    worker_service: str
    auto_scaling_group: str
    repository: str
    repository_uri: str
    leader_log_group: str
    worker_log_group: str

    @classmethod
    def of(cls, stack: Stack) -> Infrastructure:
        """From a stack that is ready. Raises SatcompError where it isn't one of this version's."""
        try:
            outputs = stack.outputs
            return cls(
                project=outputs["ProjectName"],
                stack=stack.name,
                track=TRACKS[outputs["SolverType"]],
                zones=tuple(outputs["Zones"].split(",")),
                subnets=tuple(outputs["SubnetIds"].split(",")),
                bucket=outputs["BucketName"],
                job_queue=outputs["JobQueueUrl"],
                result_queue=outputs["ResultQueueUrl"],
                dead_letter_queue=outputs["DeadLetterQueueUrl"],
                cluster=outputs["ClusterName"],
                leader_service=outputs["LeaderServiceName"],
                worker_service=outputs["WorkerServiceName"],
                auto_scaling_group=outputs["AutoScalingGroupName"],
                repository=outputs["RepositoryName"],
                repository_uri=outputs["RepositoryUri"],
                leader_log_group=outputs["LeaderLogGroup"],
                worker_log_group=outputs["WorkerLogGroup"],
            )
        except KeyError as error:
            raise SatcompError(
                f"Stack {stack.name} is not one that this version made: its output {error} is missing.",
                "Delete it with ./delete-solver-infrastructure and create it anew.",
            ) from error


def describe(aws: Aws, name_or_id: str) -> Stack | None:
    """The stack, or None where there is none. A deleted stack is found by its id alone."""
    from botocore.exceptions import ClientError

    try:
        return Stack.of(aws.cloudformation.describe_stacks(StackName=name_or_id)["Stacks"][0])
    except ClientError as error:
        if error_code(error) == "ValidationError" and "does not exist" in error_message(error):
            return None
        raise


def projects(aws: Aws) -> list[Stack]:
    """The stacks of all projects in the account and region, in whatever state."""
    pages = aws.cloudformation.get_paginator("describe_stacks").paginate()
    stacks = [Stack.of(description) for page in pages for description in page["Stacks"]]
    return [stack for stack in stacks if stack.project and stack.state is not State.ABSENT]


def create(aws: Aws, names: Names, template: str) -> str:
    """Start to create the stack; returns its id. Where it has been started meanwhile, that is joined."""
    from botocore.exceptions import ClientError

    try:
        return aws.cloudformation.create_stack(
            StackName=names.stack,
            TemplateBody=template,
            Capabilities=["CAPABILITY_IAM"],
            Tags=[{"Key": PROJECT_TAG, "Value": names.project}],
        )["StackId"]
    except ClientError as error:
        # By somebody else just now, or by this call: AWS's answer was lost, and botocore tried again.
        started = describe(aws, names.stack) if error_code(error) == "AlreadyExistsException" else None
        if started is None:
            raise
        return started.id


def update(aws: Aws, stack: Stack, template: str) -> bool:
    """Start to update the stack; False where AWS finds that nothing would change."""
    from botocore.exceptions import ClientError

    try:
        aws.cloudformation.update_stack(
            StackName=stack.id,
            TemplateBody=template,
            Capabilities=["CAPABILITY_IAM"],
            Tags=[{"Key": key, "Value": value} for key, value in stack.tags.items()],
        )
    except ClientError as error:
        if "No updates are to be performed" in error_message(error):
            return False
        raise
    return True


def resources(aws: Aws, stack_id: str) -> dict[str, str]:
    """The physical id of each resource that is in the stack, by its logical id; empty for one that is not made yet."""
    pages = aws.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return {
        resource["LogicalResourceId"]: resource.get("PhysicalResourceId", "")
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceStatus"] != "DELETE_COMPLETE"
    }


@dataclass(frozen=True)
class Change:
    """What an update would do to a resource: `add`, `remove`, `modify` in place, or `replace` by a new one."""

    action: str
    resource: str
    kind: str


def changes(aws: Aws, name: str, template: str) -> list[Change]:
    """What an update with this template would do; nothing is changed. Raises SatcompError where AWS can't tell."""
    from botocore.exceptions import WaiterError

    client = aws.cloudformation
    change_set = f"dry-run-{uuid.uuid4().hex[:8]}"
    client.create_change_set(
        StackName=name,
        ChangeSetName=change_set,
        ChangeSetType="UPDATE",
        TemplateBody=template,
        Capabilities=["CAPABILITY_IAM"],
    )
    try:
        waiter = client.get_waiter("change_set_create_complete")
        waiter.wait(StackName=name, ChangeSetName=change_set, WaiterConfig={"Delay": 2, "MaxAttempts": 60})
        pages = client.get_paginator("describe_change_set").paginate(StackName=name, ChangeSetName=change_set)
        found = [change["ResourceChange"] for page in pages for change in page["Changes"] if "ResourceChange" in change]
    except WaiterError as error:
        reason = error.last_response.get("StatusReason", "")
        if "didn't contain changes" in reason or "No updates" in reason:
            return []
        raise SatcompError(f"AWS couldn't say what would change: {reason or error}.") from error
    finally:
        client.delete_change_set(StackName=name, ChangeSetName=change_set)
    return [
        Change(
            "replace" if change.get("Replacement") == "True" else change["Action"].lower(),
            change["LogicalResourceId"],
            change["ResourceType"],
        )
        for change in found
    ]
