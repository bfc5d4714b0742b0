"""The CloudFormation template of a project's infrastructure, and the zones that it can be in."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import SatcompError, UsageError
from .project import CLUSTER, NODE_MANIFEST_TABLE, PROJECT_TAG, TASK_END_TABLE, Names, Project
from .tracks import Track

if TYPE_CHECKING:
    import jinja2
    from mypy_boto3_ec2 import EC2Client

MAX_ZONES = 6
BODY_LIMIT = 51_200
"""Bytes that CloudFormation takes as TemplateBody (CloudFormation user guide, "Quotas")."""

_DIRECTORY = Path(__file__).parent.parent / "templates"
_FILE = "solver-infrastructure.yaml.j2"
# An availability zone is its region and a letter. Local and wavelength zones are not: they have no EFS, and their
# names have a part more. The VPC's /16 has room for 16 subnets of /20: one for each of the first 16 letters.
_ZONE = re.compile(r"(?P<region>[a-z]+(?:-[a-z]+)+-\d+)(?P<letter>[a-p])")
# Stand for the account and the region while the names are put together. No longer than any real one, so that the limit
# on the bucket's name, which holds for real ones, is not met here.
_ACCOUNT_MARK, _REGION_MARK = "<A>", "<R>"
_OTHER_REGION = "Use another region (--region)."


@dataclass(frozen=True)
class _Zone:
    name: str
    letter: str
    """Upper case: the end of the logical ids of what the template has once for each zone."""
    cidr: str


def render(project: Project, track: Track, zones: Sequence[str]) -> str:
    """The template's YAML text for a project, a track and 1 to 6 availability zones of one region, by name.

    The order of the zones is of no importance. The text is smaller than `BODY_LIMIT`; neither account nor region are
    written in it, apart from the zones' names. Raises UsageError for zones that can't be used together.
    """
    return (
        _environment()
        .get_template(_FILE)
        .render(
            project=project,
            names=_names(project),
            track=track,
            zones=_parse(zones),
            cluster=CLUSTER,
            node_manifest_table=NODE_MANIFEST_TABLE,
            task_end_table=TASK_END_TABLE,
            project_tag=PROJECT_TAG,
        )
    )


@cache
def _environment() -> jinja2.Environment:
    """Jinja's, which keeps what it has compiled: that takes longer than all else in rendering."""
    import jinja2  # here, because --help must not wait for it

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_DIRECTORY),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  # this is YAML, not HTML; what is typed gets in by `tojson`
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def read(text: str) -> dict[str, Any]:
    """A template's text as data; the short forms of CloudFormation's functions (`!Ref x`) become the long ones."""
    document: dict[str, Any] = pickle.loads(_pickled(text))  # noqa: S301 - made below
    return document


@lru_cache(maxsize=8)
def _pickled(text: str) -> bytes:
    """What the text says, so that it is parsed once and each caller gets data of their own."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the one in C is ten times as fast
        pass

    def long_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
        value: Any
        if isinstance(node, yaml.ScalarNode):
            value = loader.construct_scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            value = loader.construct_sequence(node, deep=True)
        else:
            assert isinstance(node, yaml.MappingNode)
            value = loader.construct_mapping(node, deep=True)
        if tag == "GetAtt":
            value = value.split(".", 1)
        return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}

    Loader.add_multi_constructor("!", long_form)
    return pickle.dumps(yaml.load(text, Loader))  # noqa: S506 - a safe loader, with functions


def zones_offering(ec2: EC2Client, instance_types: Sequence[str]) -> list[str]:
    """The availability zones of the client's region that have all of the instance types: sorted, at most 6.

    Raises SatcompError where there is none, and lets botocore's errors pass.
    """
    region = ec2.meta.region_name
    zones_of: dict[str, set[str]] = {name: set() for name in instance_types}
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": list(instance_types)}],
    )
    for page in pages:
        for offering in page["InstanceTypeOfferings"]:
            zones_of[offering["InstanceType"]].add(offering["Location"])
    wanted = " and ".join(instance_types)
    missing = [name for name, zones in zones_of.items() if not zones]
    if missing:
        raise SatcompError(f"Region {region} has no machines of type {' or '.join(missing)}.", _OTHER_REGION)
    common = set.intersection(*zones_of.values())
    usable = sorted(zone for zone in common if (match := _ZONE.fullmatch(zone)) and match["region"] == region)
    if not usable:
        raise SatcompError(f"No availability zone of region {region} has all of {wanted}.", _OTHER_REGION)
    return usable[:MAX_ZONES]


def _names(project: Project) -> Names:
    """The project's names, with CloudFormation's own variables for the account and the region (for Fn::Sub)."""
    names = project.names(_ACCOUNT_MARK, _REGION_MARK)
    texts = {field.name: getattr(names, field.name) for field in fields(names)}
    return Names(
        **{
            key: text.replace(_ACCOUNT_MARK, "${AWS::AccountId}").replace(_REGION_MARK, "${AWS::Region}")
            for key, text in texts.items()
        }
    )


def _parse(names: Sequence[str]) -> list[_Zone]:
    """The zones, sorted. A zone has the same letter and addresses whichever other zones there are."""
    if not 1 <= len(names) <= MAX_ZONES:
        raise UsageError(f"The network can be in 1 to {MAX_ZONES} availability zones, not in {len(names)}.")
    if len(set(names)) < len(names):
        raise UsageError(f"Each availability zone may be named once: {', '.join(sorted(names))}.")
    zones = []
    regions = set()
    for name in sorted(names):
        match = _ZONE.fullmatch(name)
        if not match:
            raise UsageError(
                f"'{name}' is not the name of an availability zone.", "Its form is the region's name and a letter."
            )
        regions.add(match["region"])
        index = ord(match["letter"]) - ord("a")
        zones.append(_Zone(name, match["letter"].upper(), f"10.0.{16 * index}.0/20"))
    if len(regions) > 1:
        raise UsageError(f"The availability zones are of several regions: {', '.join(sorted(names))}.")
    return zones
