"""The automatic stop: AWS itself stops the machines at a time, whether or not a laptop is open then.

It is a scheduled action of the Auto Scaling group, which sets the group to no machine.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from .aws import error_message

if TYPE_CHECKING:
    from .aws import Aws

NAME = "satcomp-automatic-stop"
_SOON = 60.0
"""Seconds: Auto Scaling takes no time that has passed."""


def put(aws: Aws, group: str, seconds: float) -> datetime:
    """Let the group's machines be stopped in so many seconds; an earlier automatic stop is moved. Returns when."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    aws.autoscaling.put_scheduled_update_group_action(
        AutoScalingGroupName=group, ScheduledActionName=NAME, StartTime=at, DesiredCapacity=0
    )
    return at


def put_back(aws: Aws, group: str, at: datetime | None) -> None:
    """Set it as `when` had told it; where its time has come meanwhile, the machines are stopped in a minute."""
    if at is None:
        remove(aws, group)
    else:
        put(aws, group, max((at - datetime.now(UTC)).total_seconds(), _SOON))


def remove(aws: Aws, group: str) -> None:
    """Take the automatic stop back; nothing to do where there is none, or no group any more."""
    from botocore.exceptions import ClientError

    try:
        aws.autoscaling.delete_scheduled_action(AutoScalingGroupName=group, ScheduledActionName=NAME)
    except ClientError as error:
        if "not found" not in error_message(error):  # Auto Scaling has no code for it: ValidationError
            raise


def when(aws: Aws, group: str) -> datetime | None:
    """When the machines will be stopped; None where no automatic stop is set."""
    answer = aws.autoscaling.describe_scheduled_actions(AutoScalingGroupName=group, ScheduledActionNames=[NAME])
    for action in answer["ScheduledUpdateGroupActions"]:
        return action.get("StartTime")
    return None
