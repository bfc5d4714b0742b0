"""What all tests share: nothing of the developer's own AWS configuration, and an AWS account in moto."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache, lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Any

import pytest

from satcomp_infra import starting

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.model import ServiceModel
    from moto.ec2.models.route_tables import RouteTable

ACCOUNT = "123456789012"  # moto's
REGION = "us-east-1"
OTHER_REGIONS = ("us-west-2", "eu-central-1")
"""That the account has switched on, too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files of slow tests come first: in the end, none of them is left alone while other processors idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def service_models_are_read_once() -> Iterator[None]:
    """botocore works out anew for each session what is the same for all: most of a command's time here."""
    from botocore import utils
    from botocore.client import ClientCreator
    from botocore.compat import accepts_kwargs
    from botocore.hooks import EventAliaser
    from botocore.loaders import JSONFileLoader, Loader

    read = cache(JSONFileLoader().load_file)
    list_services = Loader.list_available_services
    services = cache(lambda kind: list_services(Loader(), kind))
    full_name = EventAliaser._alias_event_name
    names = cache(lambda event: full_name(EventAliaser(None), event))

    methods: dict[str, dict[str, Any]] = {}
    create_methods = ClientCreator._create_methods

    def methods_of(creator: ClientCreator, model: ServiceModel) -> dict[str, Any]:
        if model.service_name not in methods:
            methods[model.service_name] = create_methods(creator, model)
        return dict(methods[model.service_name])

    def takes_any_keyword(function: Callable[..., Any]) -> bool:
        code = getattr(function, "__code__", None)
        return bool(code.co_flags & inspect.CO_VARKEYWORDS) if code else accepts_kwargs(function)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: read(path))
        patch.setattr(Loader, "list_available_services", lambda _, type_name: services(type_name))
        patch.setattr(ClientCreator, "_create_methods", methods_of)
        patch.setattr(utils, "_parse_timestamp_with_tzinfo", lru_cache(1000)(utils._parse_timestamp_with_tzinfo))
        patch.setattr("botocore.hooks.accepts_kwargs", takes_any_keyword)
        patch.setattr(EventAliaser, "_alias_event_name", lambda _, event_name: names(event_name))
        yield


@cache
def _leave_out_of_garbage_collections() -> None:
    """What is there by now stays (moto makes a million objects when it is imported); looking through it takes long."""
    gc.collect()
    gc.freeze()


@cache
def _load_machine_images(resource: str) -> list[dict[str, Any]]:
    """Of the thousand parameters that name machine images, the ones that the template asks for."""
    from moto.ssm.utils import convert_to_params
    from moto.utilities.utils import load_resource

    return [image for image in convert_to_params(load_resource(resource)) if "linux-2023/recommended" in image["Name"]]


@pytest.fixture(autouse=True)
def sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can reach AWS, or read how the developer does."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",  # of no use here, and slow to load
    }.items():
        monkeypatch.setenv(name, value)


SETTLE_SECONDS = starting.SETTLE_SECONDS


@pytest.fixture(autouse=True)
def made_up_nodes_count_as_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most nodes of tests only sleep, or are simulated: nothing is heard of them."""
    monkeypatch.setattr(starting, "SETTLE_SECONDS", 0.0)


@pytest.fixture
def nodes_settle(made_up_nodes_count_as_settled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start waits until nodes are heard of, or have run for a while, as it does outside of tests."""
    monkeypatch.setattr(starting, "SETTLE_SECONDS", SETTLE_SECONDS)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty account in moto, in this process."""
    from moto import mock_aws
    from moto.autoscaling.responses import AutoScalingResponse
    from moto.cloudformation.models import Stack
    from moto.core.botocore_stubber import BotocoreStubber
    from moto.core.responses import ActionResult
    from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
    from moto.ec2.models.route_tables import RouteTable
    from moto.servicequotas.models import ServiceQuotasBackend
    from moto.ssm import models as ssm

    from satcomp_infra.local import stack_templates

    def delete(self: RouteTable, account_id: str, region_name: str) -> None:
        self._associations.clear()
        self.ec2_backend.delete_route_table(self.id)

    monkeypatch.setattr(ssm, "load_resource", _load_machine_images)
    monkeypatch.setattr(ssm, "convert_to_params", lambda images: images)
    # moto's account has switched on all regions of all partitions; commands ask each where they don't find a project.
    switched_on = [region for region in RegionsAndZonesBackend.regions if region.name in (REGION, *OTHER_REGIONS)]
    monkeypatch.setattr(RegionsAndZonesBackend, "regions", switched_on)
    # moto's CloudFormation leaves route tables behind, and then can't delete their network.
    monkeypatch.setattr(RouteTable, "delete", delete, raising=False)
    # moto has no scaling activities.
    nothing = ActionResult({"Activities": []})
    monkeypatch.setattr(AutoScalingResponse, "describe_scaling_activities", lambda _: nothing, raising=False)
    # moto knows the quotas of networks alone.
    monkeypatch.setattr(ServiceQuotasBackend, "get_service_quota", lambda *_, **__: {"QuotaCode": "", "Value": 640.0})
    monkeypatch.setattr(Stack, "parse_template", staticmethod(stack_templates.parse))
    answer, lock = BotocoreStubber.__call__, RLock()

    def answer_one_by_one(stubber: BotocoreStubber, event_name: str, request: AWSPreparedRequest, **more: Any) -> Any:
        """Commands call in several threads, moto's backends are for one; but waiting for messages takes a second."""
        waits = "ReceiveMessage" in str(request.headers.get("X-Amz-Target"))
        with nullcontext() if waits else lock:
            return answer(stubber, event_name, request, **more)

    monkeypatch.setattr(BotocoreStubber, "__call__", answer_one_by_one)
    _leave_out_of_garbage_collections()
    with mock_aws():
        yield
