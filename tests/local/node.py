"""Stands for the node runtime: says where and how it runs, leaves processes behind, and notices when it is to end."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit


def metadata(path: str) -> str:
    address = urlsplit(os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"])
    connection = http.client.HTTPConnection(address.netloc)
    connection.request(
        "PUT", f"{address.path}/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    token = connection.getresponse().read().decode()
    connection.request("GET", f"{address.path}/latest/meta-data/{path}", headers={"X-aws-ec2-metadata-token": token})
    return connection.getresponse().read().decode()


def terminated(*_: object) -> None:
    print("told to end", flush=True)
    Path("terminated").touch()
    sys.exit(0)


role = sys.argv[1]
signal.signal(signal.SIGTERM, terminated)
address = metadata("local-ipv4")
listening = socket.create_server((address, 2222))
escaped = subprocess.Popen(["sleep", "1000"], start_new_session=True)
deaf = subprocess.Popen([sys.executable, "-c", "import signal,time; signal.signal(15, 1); time.sleep(1000)"])
facts = {
    "environment": dict(os.environ),
    "address": address,
    "instance": metadata("instance-id"),
    "children": [escaped.pid, deaf.pid],
    "scripts": sorted(path.name for path in Path(os.environ["SATCOMP_COMPETITION_DIR"]).iterdir()),
}
shared = Path(os.environ["SATCOMP_SHARED_DIR"])
task = os.environ["ECS_CONTAINER_METADATA_URI_V4"].rsplit("/", 1)[-1]
(shared / f"{task}.tmp").write_text(json.dumps(facts))
(shared / f"{task}.tmp").rename(shared / f"{role}-{task}.json")
print(f"I am a {role}", flush=True)
while True:
    time.sleep(60)
