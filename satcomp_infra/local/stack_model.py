"""A stack, and what its operations have made of it so far."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moto.cloudformation.models import Event, Stack
from moto.cloudformation.parsing import Export

from .stack_resources import Resource
from .stack_templates import read


class LocalStack(Stack):
    """A stack of moto's that has what its operations have made of it so far, and not all that its template says.

    moto's own makes whatever is missing as soon as somebody looks at its resources or outputs.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.resources: dict[str, Resource] = {}
        self._complete: tuple[list[dict[str, Any]], list[Export]] = ([], [])
        super().__init__(*args, **kwargs)
        self.status_reason: str | None = None
        self.last_updated_time: datetime | None = None
        self.deletion_time: datetime | None = None
        self.on_failure = "ROLLBACK"

    @property
    def outputs(self) -> list[dict[str, Any]] | None:
        """Those of the last operation that came to a good end."""
        return self._complete[0] or None

    @property
    def exports(self) -> list[Export]:
        """As for outputs."""
        return self._complete[1]

    @property
    def stack_resources(self) -> list[Any]:
        """The objects that moto has for those that exist. Its own property looks at its map, which makes them all."""
        return [resource.moto for resource in self.resources.values() if resource.moto is not None]

    @staticmethod
    def cloudformation_name_type() -> str:
        """Nothing: no property of a stack within a stack is its name. moto's class leaves this open."""
        return ""

    def is_created(self) -> bool:
        """As above."""
        return True

    def compute_outputs(self) -> None:
        """All resources are as the template says: fill in the outputs."""
        self.output_map = self._create_output_map()
        exports = super().exports
        self._complete = ([], exports)  # moto's outputs look at the exports
        self._complete = (super().outputs or [], exports)

    def set_status(self, status: str, reason: str | None = None) -> None:
        """The stack's own status, with the event that tells of it."""
        self.status, self.status_reason = status, reason
        self._add_stack_event(status, reason)

    def tell(self, resource: Resource, status: str, reason: str | None = None) -> None:
        """A resource's status, with the event that tells of it."""
        resource.status, resource.reason, resource.timestamp = status, reason, datetime.now(UTC)
        self.events.append(
            Event(
                stack_id=self.stack_id,
                stack_name=self.name,
                logical_resource_id=resource.id,
                physical_resource_id=resource.physical_id,
                resource_type=resource.type,
                resource_status=status,
                resource_status_reason=reason,
                resource_properties=None,
            )
        )

    def take_template(self, body: str, parameters: dict[str, Any]) -> None:
        """From now on, this is what the stack is to be like."""
        self.template = body
        self.template_dict = read(body)
        self.description = self.template_dict.get("Description")
        self.parameters = parameters
        resources = self.resource_map
        resources._template, resources.input_parameters = self.template_dict, parameters
        resources._resource_json_map = self.template_dict["Resources"]
        resources.load_mapping()
        resources.load_parameters()
        resources.load_conditions()

    def wanted(self) -> dict[str, Any]:
        """The resources that the template says, without those whose condition doesn't hold."""
        holds = self.resource_map.lazy_condition_map
        all_of_them = self.template_dict["Resources"]
        return {name: r for name, r in all_of_them.items() if "Condition" not in r or holds[r["Condition"]]}
