from __future__ import annotations

from satcomp_infra.local.slim_moto import Offerings


def test_offerings_are_those_of_moto_and_only_the_wanted_ones() -> None:
    from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS

    moto_s = INSTANCE_TYPE_OFFERINGS["availability-zone"]
    assert set(Offerings("availability-zone")) == set(moto_s)
    assert Offerings("availability-zone")["eu-north-1"] == moto_s["eu-north-1"]
    assert Offerings("availability-zone").get("mars-1") is None
    some = Offerings("availability-zone", lambda offer: offer["InstanceType"] == "m6i.4xlarge")["eu-north-1"]
    assert {offer["Location"] for offer in some} == {"eu-north-1a", "eu-north-1b", "eu-north-1c"}
