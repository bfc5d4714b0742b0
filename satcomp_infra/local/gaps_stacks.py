"""CloudFormation's API, where moto does otherwise than AWS: its operations are over when the call is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.models import Stack
from moto.cloudformation.responses import CloudFormationResponse
from moto.cloudformation.utils import generate_stack_id
from moto.core.responses import ActionResult, EmptyResult
from moto.efs.models import AccessPoint

from .gaps import page, replace
from .settings import ACCOUNT
from .stack_model import LocalStack
from .stack_templates import check_capabilities, check_name, parse, read

if TYPE_CHECKING:
    from .stacks import Stacks

_NO_UPDATE_FROM = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED")


def fill(stacks: Stacks) -> None:
    """Let operations take their time."""
    response = CloudFormationResponse
    # moto's access points have no id for CloudFormation: !Ref is then the description of a Python object.
    AccessPoint.physical_resource_id = property(lambda point: point.access_point_id)  # type: ignore[attr-defined]

    Stack.parse_template = staticmethod(parse)  # type: ignore[method-assign, assignment]

    @replace(response, "create_stack")
    def create_stack(self: CloudFormationResponse) -> ActionResult:
        name, body = self._get_param("StackName"), _body(self)
        check_name(name)
        backend = self.cloudformation_backend
        if any(stack.name == name for stack in backend.stacks.values()):
            raise AlreadyExistsException(f"Stack [{name}] already exists")
        check_capabilities(read(body), self._get_param("Capabilities", []))
        stack = LocalStack(
            stack_id=generate_stack_id(name, self.region, ACCOUNT),
            name=name,
            template=body,
            parameters=self._get_params_from_list(self._get_param("Parameters", [])),
            account_id=ACCOUNT,
            region_name=self.region,
            tags={tag["Key"]: tag["Value"] for tag in self._get_param("Tags", [])},
            role_arn=self._get_param("RoleARN"),
            cross_stack_resources=backend.exports,
            enable_termination_protection=self._get_bool_param("EnableTerminationProtection", False),
            timeout_in_mins=self._get_int_param("TimeoutInMinutes"),
        )
        keep = self._get_bool_param("DisableRollback", False)
        stack.on_failure = "DO_NOTHING" if keep else self._get_param("OnFailure") or "ROLLBACK"
        backend.stacks[stack.stack_id] = stack
        stacks.create(stack)
        return ActionResult({"StackId": stack.stack_id})

    @replace(response, "update_stack")
    def update_stack(self: CloudFormationResponse) -> ActionResult:
        stack = _stack(self)
        if stack.status.endswith("_IN_PROGRESS") or stack.status in _NO_UPDATE_FROM:
            raise ValidationError(message=f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")
        body = str(stack.template) if self._get_bool_param("UsePreviousTemplate", False) else _body(self)
        template = read(body)
        check_capabilities(template, self._get_param("Capabilities", []))
        parameters = {
            entry["ParameterKey"]: stack.parameters.get(entry["ParameterKey"])
            if entry.get("UsePreviousValue")
            else entry["ParameterValue"]
            for entry in self._get_param("Parameters", [])
        }
        tags = {tag["Key"]: tag["Value"] for tag in self._get_param("Tags", [])} or stack.tags
        if (template, parameters, tags) == (read(str(stack.template)), stack.parameters, stack.tags):
            raise ValidationError(message="No updates are to be performed.")
        stack.tags = tags
        stacks.update(stack, body, parameters)
        return ActionResult({"StackId": stack.stack_id})

    @replace(response, "delete_stack")
    def delete_stack(self: CloudFormationResponse) -> ActionResult:
        try:
            stack = _stack(self)
        except ValidationError:  # for AWS, too, what isn't there is deleted
            return EmptyResult()
        if stack.enable_termination_protection:
            raise ValidationError(
                message=f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            )
        if stack.status.endswith("_IN_PROGRESS") and stack.status.startswith("UPDATE"):
            raise ValidationError(message=f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
        if not stack.status.startswith("DELETE") or stack.status == "DELETE_FAILED":
            stacks.delete(stack)
        return EmptyResult()

    @replace(response, "describe_stack_events")
    def describe_stack_events(self: CloudFormationResponse) -> ActionResult:
        shown, token = page(_any_stack(self).events[::-1], self._get_param("NextToken"))
        return ActionResult({"StackEvents": shown, "NextToken": token})

    @replace(response, "list_stack_resources")
    def list_stack_resources(self: CloudFormationResponse) -> ActionResult:
        shown, token = page(_described(_stack(self)), self._get_param("NextToken"))
        return ActionResult({"StackResourceSummaries": shown, "NextToken": token})

    @replace(response, "describe_stack_resources")
    def describe_stack_resources(self: CloudFormationResponse) -> ActionResult:
        wanted = self._get_param("LogicalResourceId")
        found = _described(_stack(self))
        return ActionResult({"StackResources": [r for r in found if wanted in (None, r["LogicalResourceId"])]})

    @replace(response, "describe_stack_resource")
    def describe_stack_resource(self: CloudFormationResponse) -> ActionResult:
        stack, wanted = _stack(self), self._get_param("LogicalResourceId")
        for found in _described(stack):
            if found["LogicalResourceId"] == wanted:
                return ActionResult({"StackResourceDetail": found})
        raise ValidationError(message=f"Resource {wanted} does not exist for stack {stack.name}")


def _any_stack(response: CloudFormationResponse) -> Stack:
    """The stack that a call is about, by its name, or by its id, then also a deleted one."""
    name: str = response._get_param("StackName")
    try:
        return response.cloudformation_backend.get_stack(name)
    except ValidationError as error:
        raise ValidationError(message=f"Stack [{name}] does not exist") from error


def _stack(response: CloudFormationResponse) -> LocalStack:
    """As before, but not one that a change set has made: moto makes those in its own way, at once."""
    stack = _any_stack(response)
    if not isinstance(stack, LocalStack):
        raise ValidationError(message=f"Stack [{stack.name}] was made by a change set: the local cloud can't follow it")
    return stack


def _described(stack: LocalStack) -> list[dict[str, Any]]:
    return [resource.described(stack.stack_id, stack.name) for resource in stack.resources.values()]


def _body(response: CloudFormationResponse) -> str:
    body, address = response._get_param("TemplateBody"), response._get_param("TemplateURL")
    if not body and not address:
        raise ValidationError(message="Either Template URL or Template Body must be specified.")
    return str(body or response._get_stack_from_s3_url(address))
