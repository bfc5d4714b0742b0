"""How fast a bucket is emptied, against deleting object by object, on the local cloud, in one run.

Run it with `make bench`, or `python benchmarks/empty_bucket.py [VERSIONS]` (default 20000). Each object has two
versions, as in a bucket with versioning.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from satcomp_infra import storage
from satcomp_infra.aws import Aws
from satcomp_infra.local import cloud

ONE_BY_ONE = 500
"""Objects to be deleted one by one: enough to know the rate."""


def fill(s3: Any, bucket: str, versions: int) -> None:
    """Make a bucket with so many versions, two of each object."""
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            keys = (f"results/{number:06}/result.json" for number in range(versions // 2))
            list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"{}"), keys))


def one_by_one(s3: Any, bucket: str) -> int:
    """Delete each version with a call of its own."""
    count = 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in page.get("Versions", ()):
            s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
            count += 1
    return count


def main() -> None:
    """Measure both in the same run, and print the ratio of their rates."""
    versions = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    with cloud.start() as local:
        os.environ.update(local.environment())
        aws = Aws.connect()
        started = time.monotonic()
        fill(aws.s3, "many", versions)
        fill(aws.s3, "few", ONE_BY_ONE)
        print(f"filled two buckets with {versions} and {ONE_BY_ONE} versions in {time.monotonic() - started:.1f} s")

        started = time.monotonic()
        deleted = storage.empty(aws, "many", lambda _: None)
        batched = time.monotonic() - started
        print(f"emptied: {deleted} versions in {batched:.2f} s, {deleted / batched:.0f} per second")

        started = time.monotonic()
        single = one_by_one(aws.s3, "few")
        slow = time.monotonic() - started
        print(f"one by one: {single} versions in {slow:.2f} s, {single / slow:.0f} per second")
        print(f"ratio: {(deleted / batched) / (single / slow):.1f}")


if __name__ == "__main__":
    main()
