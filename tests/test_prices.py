"""What the infrastructure costs, computed from the template that AWS gets."""

from __future__ import annotations

from typing import Any

import pytest

from satcomp_infra import prices, template
from satcomp_infra.errors import SatcompError
from satcomp_infra.project import Project
from satcomp_infra.tracks import CLOUD, PARALLEL, Track


def rendered(track: Track = CLOUD) -> dict[str, Any]:
    return template.read(template.render(Project("my-solver"), track, [f"us-east-1{letter}" for letter in "abcdf"]))


@pytest.mark.parametrize("track", [CLOUD, PARALLEL], ids=lambda track: track.name)
def test_while_idle_nothing_costs_anything(track: Track) -> None:
    assert prices.idle_per_hour(rendered(track)) == {}


@pytest.mark.parametrize(
    ("added", "cost"),
    [
        ({"Type": "AWS::EC2::NatGateway"}, 0.045),
        ({"Type": "AWS::EC2::EIP"}, 0.005),
        ({"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer"}, 0.0225),
        (
            {"Type": "AWS::EC2::VPCEndpoint", "Properties": {"VpcEndpointType": "Interface", "SubnetIds": [1, 2, 3]}},
            0.03,
        ),
    ],
)
def test_what_is_priced_by_the_hour_is_found(added: dict[str, Any], cost: float) -> None:
    document = rendered()
    document["Resources"]["Added"] = added
    assert prices.idle_per_hour(document) == {"Added": pytest.approx(cost)}


def test_a_group_that_starts_machines_by_itself_is_found() -> None:
    document = rendered()
    document["Resources"]["EcsInstanceAsg"]["Properties"]["MinSize"] = "2"
    assert prices.idle_per_hour(document) == {"EcsInstanceAsg": pytest.approx(2 * prices.node_per_hour(document).total)}


def test_the_design_of_twelve_endpoints_in_six_zones_costs_what_it_is_said_to() -> None:
    document = rendered()
    for number in range(12):
        document["Resources"][f"Endpoint{number}"] = {
            "Type": "AWS::EC2::VPCEndpoint",
            "Properties": {"VpcEndpointType": "Interface", "SubnetIds": list(range(6))},
        }
    assert sum(prices.idle_per_hour(document).values()) == pytest.approx(0.72)


def test_nothing_is_taken_to_be_free() -> None:
    document = rendered()
    document["Resources"]["Added"] = {"Type": "AWS::Something::New"}
    with pytest.raises(SatcompError, match="AWS::Something::New"):
        prices.idle_per_hour(document)


@pytest.mark.parametrize(("track", "machine"), [(CLOUD, 0.768), (PARALLEL, 3.072)], ids=["cloud", "parallel"])
def test_a_running_node_costs_machine_address_and_disk(track: Track, machine: float) -> None:
    cost = prices.node_per_hour(rendered(track))
    assert (cost.machine, cost.public_address) == (machine, 0.005)
    assert 0 < cost.disk < 0.05
    assert cost.total == pytest.approx(machine + 0.005 + cost.disk)
