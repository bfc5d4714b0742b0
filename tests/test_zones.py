"""The zones that have the competition's machines."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from satcomp_infra.errors import SatcompError
from satcomp_infra.template import zones_offering
from satcomp_infra.tracks import CLOUD, PARALLEL

ZONES = [f"us-east-1{letter}" for letter in "abcdef"]
TYPES = (CLOUD.instance_type, PARALLEL.instance_type)


def offers(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"InstanceType": kind, "LocationType": "availability-zone", "Location": zone} for kind, zone in pairs]


def zones_from(pages: list[list[dict[str, str]]]) -> list[str]:
    """What zones_offering makes of AWS's answer, page by page."""
    ec2 = boto3.client("ec2", region_name="us-west-2")
    request = {
        "LocationType": "availability-zone",
        "Filters": [{"Name": "instance-type", "Values": list(TYPES)}],
    }
    with Stubber(ec2) as stub:
        for number, page in enumerate(pages):
            answer: dict[str, Any] = {"InstanceTypeOfferings": page}
            if number < len(pages) - 1:
                answer["NextToken"] = str(number + 1)
            asked = request | ({"NextToken": str(number)} if number else {})
            stub.add_response("describe_instance_type_offerings", answer, asked)
        return zones_offering(ec2, TYPES)


def test_a_zone_without_the_machines_is_left_out(aws: None) -> None:
    # us-east-1e is the zone that lacks m6i in the account that moto's data come from.
    assert zones_offering(boto3.client("ec2"), TYPES) == [zone for zone in ZONES if zone != "us-east-1e"]


def test_a_zone_must_have_all_types_and_answers_may_come_in_pages(aws: None) -> None:
    small, large = TYPES
    pages = [
        offers((small, "us-west-2c"), (small, "us-west-2a")),
        offers((large, "us-west-2a"), (large, "us-west-2b"), (large, "us-west-2c")),
    ]
    assert zones_from(pages) == ["us-west-2a", "us-west-2c"]


def test_local_zones_are_no_choice_because_they_have_no_shared_file_system(aws: None) -> None:
    pairs = [(kind, zone) for kind in TYPES for zone in ("us-west-2-lax-1a", "us-west-2b")]
    assert zones_from([offers(*pairs)]) == ["us-west-2b"]


def test_no_more_zones_than_the_template_takes(aws: None) -> None:
    pairs = [(kind, f"us-west-2{letter}") for kind in TYPES for letter in "hgfedcba"]
    assert zones_from([offers(*pairs)]) == [f"us-west-2{letter}" for letter in "abcdef"]


def test_a_region_without_the_machines_is_named(aws: None) -> None:
    with pytest.raises(SatcompError, match=f"Region us-west-2 has no machines of type {TYPES[1]}") as caught:
        zones_from([offers((TYPES[0], "us-west-2a"))])
    assert "--region" in caught.value.advice


def test_a_region_without_a_zone_that_has_both_machines_is_named(aws: None) -> None:
    with pytest.raises(SatcompError, match="No availability zone of region us-west-2 has all of"):
        zones_from([offers((TYPES[0], "us-west-2a"), (TYPES[1], "us-west-2b"))])
