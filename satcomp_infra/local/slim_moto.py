"""Importing moto without what takes long and no local cloud needs, which is more than half of its time.

All of moto's services stay there: one that is left out is imported once it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

_OFFERINGS = "ec2/resources/instance_type_offerings"


def load() -> None:
    """Import the parts of moto that take longest. Nothing of moto may be imported before."""
    _read_once()
    with _one_session(), _without_offerings():
        import moto.ec2.models.instance_types as types
    for location_type in types.INSTANCE_TYPE_OFFERINGS:
        types.INSTANCE_TYPE_OFFERINGS[location_type] = Offerings(location_type)
    with _without_api_gateway():
        import moto.cloudformation.parsing  # noqa: F401


class Offerings(Mapping[str, list[dict[str, Any]]]):
    """Which machines EC2 has where, by region, as in moto; read once a region is asked for.

    Only those offerings are in it that `wanted` holds for, which gets each as EC2 would tell it.
    """

    def __init__(self, location_type: str, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> None:
        import moto

        self._location_type, self._wanted = location_type, wanted
        directory = Path(moto.__file__).parent / _OFFERINGS / location_type
        self._regions = sorted(path.name.partition(".")[0] for path in directory.iterdir())
        self._read: dict[str, list[dict[str, Any]]] = {}

    def __getitem__(self, region: str) -> list[dict[str, Any]]:
        from moto.utilities.utils import load_resource

        if region not in self._regions:
            raise KeyError(region)
        if region not in self._read:
            offerings = load_resource(f"{_OFFERINGS}/{self._location_type}/{region}.json")
            told = [{**offering, "LocationType": self._location_type} for offering in offerings]
            self._read[region] = [offering for offering in told if self._wanted(offering)]
        return self._read[region]

    def __iter__(self) -> Iterator[str]:
        return iter(self._regions)

    def __len__(self) -> int:
        return len(self._regions)


def _read_once() -> None:
    """Moto opens one session after the other, each of which would find and parse botocore's files anew."""
    from botocore.loaders import JSONFileLoader, Loader

    load_file, list_services = JSONFileLoader.load_file, Loader.list_available_services
    loaded = cache(lambda path: load_file(JSONFileLoader(), path))
    listed = cache(lambda kind: list_services(Loader(), kind))
    JSONFileLoader.load_file = lambda _, path: loaded(path)  # type: ignore[method-assign, assignment]
    Loader.list_available_services = lambda _, type_name: listed(type_name)  # type: ignore[method-assign, assignment]


@contextmanager
def _one_session() -> Iterator[None]:
    """Meanwhile, there is one session for all who ask for any."""
    import boto3

    any_session = boto3.Session
    boto3.Session = cache(any_session)  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        boto3.Session = any_session  # type: ignore[misc]


@contextmanager
def _without_offerings() -> Iterator[None]:
    """Meanwhile, moto finds its files about which region offers which machines empty."""
    from moto.utilities import utils

    load_resource = utils.load_resource
    utils.load_resource = lambda name, *more: [] if name.startswith(_OFFERINGS) else load_resource(name, *more)
    try:
        yield
    finally:
        utils.load_resource = load_resource


@contextmanager
def _without_api_gateway() -> Iterator[None]:
    """Meanwhile, moto's CloudFormation can import its API Gateway, but gets nothing: that would load a validator."""
    import moto

    name = "moto.apigateway"
    empty: Any = ModuleType(name)
    empty.models = None
    sys.modules[name] = empty
    try:
        yield
    finally:
        del sys.modules[name]
        vars(moto).pop("apigateway", None)
