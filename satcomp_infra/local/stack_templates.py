"""What CloudFormation reads from a template before it does anything: dependencies, and what is wrong with it."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml
from moto.cloudformation.exceptions import CloudFormationError, ValidationError
from moto.cloudformation.utils import yaml_tag_constructor
from yaml import YAMLError
from yaml.parser import ParserError
from yaml.scanner import ScannerError

_BODY_LIMIT = 51_200
_NAME = r"[a-zA-Z][-a-zA-Z0-9]*"
_NAMED_IAM = ("RoleName", "InstanceProfileName", "UserName", "GroupName", "ManagedPolicyName")


def read(body: str) -> dict[str, Any]:
    """The template as a dictionary, short forms of functions written out. Raises ValidationError in AWS's words."""
    if len(body.encode()) > _BODY_LIMIT:
        raise ValidationError(
            message="1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must "
            f"have length less than or equal to {_BODY_LIMIT}"
        )
    try:
        template = parse(body)
    except (YAMLError, ValueError) as error:
        words = " ".join(str(error).split())
        raise ValidationError(message=f"Template format error: YAML not well-formed. ({words})") from error
    if not isinstance(template, dict) or not template.get("Resources"):
        raise ValidationError(message="Template format error: At least one Resources member must be defined.")
    known = {*template["Resources"], *template.get("Parameters", {})}
    unknown = sorted({name for name in _references(template["Resources"]) if name not in known and "::" not in name})
    if unknown:
        raise ValidationError(
            message=f"Template format error: Unresolved resource dependencies [{', '.join(unknown)}] in the Resources "
            "block of the template"
        )
    return template


def parse(body: str) -> Any:
    """What moto makes of a template's text, YAML or JSON. Raises YAMLError or ValueError where it is neither."""
    return pickle.loads(_pickled(body))  # noqa: S301 - made below


@lru_cache(maxsize=32)
def _pickled(body: str) -> bytes:
    """The same, so that it is parsed once and each caller gets data of their own."""
    loader = getattr(yaml, "CLoader", yaml.Loader)  # ten times as fast as moto's
    yaml.add_multi_constructor("", yaml_tag_constructor, Loader=loader)
    try:
        return pickle.dumps(yaml.load(body, Loader=loader))  # noqa: S506 - as moto does
    except (ParserError, ScannerError):
        return pickle.dumps(json.loads(body))


def check_name(name: str) -> None:
    """Raises ValidationError for what can't be a stack's name."""
    if not re.fullmatch(_NAME, name) or len(name) > 128:
        raise ValidationError(
            message=f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member "
            f"must satisfy regular expression pattern: {_NAME}"
        )


def check_capabilities(template: Mapping[str, Any], given: list[str]) -> None:
    """Raises InsufficientCapabilitiesException where IAM resources are made that the caller didn't agree to."""
    named = [r for r in template["Resources"].values() if r["Type"].startswith("AWS::IAM::")]
    if not named or "CAPABILITY_NAMED_IAM" in given:
        return
    needs_named = any(name in r.get("Properties", {}) for r in named for name in _NAMED_IAM)
    if needs_named or "CAPABILITY_IAM" not in given:
        needed = "CAPABILITY_NAMED_IAM" if needs_named else "CAPABILITY_IAM"
        raise CloudFormationError("InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]")


def dependencies(resources: Mapping[str, Any]) -> dict[str, set[str]]:
    """For each resource, by its logical id, those that have to exist before it."""
    needed = {}
    for name, resource in resources.items():
        explicit = resource.get("DependsOn", [])
        others = {*_references(resource), *([explicit] if isinstance(explicit, str) else explicit)}
        needed[name] = {other for other in others if other in resources and other != name}
    return needed


def depth(needed: Mapping[str, set[str]]) -> int:
    """The length of the longest chain of dependencies. Raises ValidationError for a circle."""
    levels: dict[str, int] = {}
    waiting = dict(needed)
    while waiting:
        ready = [name for name, others in waiting.items() if all(other in levels for other in others)]
        if not ready:
            raise ValidationError(message=f"Circular dependency between resources: [{', '.join(sorted(waiting))}]")
        for name in ready:
            levels[name] = 1 + max((levels[other] for other in waiting.pop(name)), default=0)
    return max(levels.values(), default=1)


def _references(value: Any) -> Iterator[str]:
    """The names that a part of a template refers to."""
    if isinstance(value, list):
        for entry in value:
            yield from _references(entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key == "Ref" and isinstance(entry, str):
                yield entry
            elif key == "Fn::GetAtt":
                yield (entry if isinstance(entry, str) else str(entry[0])).split(".")[0]
            elif key == "Fn::Sub":
                text, given = (entry, {}) if isinstance(entry, str) else entry
                names = {name.split(".")[0] for name in re.findall(r"\$\{([^!{}][^{}]*)\}", text)}
                yield from names - set(given)
                yield from _references(given)
            else:
                yield from _references(entry)
