"""Nodes for tests: real processes, each in directories of its own, with a metadata service that knows their address."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..waiting import PATIENCE, eventually
from .cloud import BUCKET, JOBS, RESULTS

CLONE = Path(__file__).parents[2]


class Metadata:
    """EC2's instance metadata service, version 2, for all nodes: at `/ADDRESS`, it says that this is the address."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                assert int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) > 0
                self._answer(f"token for {self.path.split('/')[1]}" if self.path.endswith("/latest/api/token") else "")

            def do_GET(self) -> None:
                _, address, rest = self.path.split("/", 2)
                known = {"latest/meta-data/local-ipv4": address, "latest/meta-data/instance-id": f"i-{address}"}
                allowed = self.headers.get("X-aws-ec2-metadata-token") == f"token for {address}"
                self._answer(known.get(rest, "") if allowed else "")

            def _answer(self, text: str) -> None:
                self.send_response(200 if text else 401)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def endpoint(self, address: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{address}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Node:
    """A node's process."""

    def __init__(self, role: str, address: str, home: Path, shared: Path, timing: dict[str, float]) -> None:
        self.role = role
        self.address = address
        self.competition = home / "competition"
        self.shared = shared
        self.output = home / "output.log"
        self._timing = timing
        self._process: subprocess.Popen[bytes] | None = None
        for directory in (self.competition, shared):
            directory.mkdir(parents=True, exist_ok=True)

    def program(self, name: str, text: str) -> Path:
        """Give the node a program: a shell script, if it says nothing else."""
        path = self.competition / name
        path.unlink(missing_ok=True)  # whoever is running the old one keeps it
        path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def start(self, metadata: Metadata, **environment: str) -> Node:
        command = [sys.executable, str(CLONE / "tests" / "node" / "run_node.py"), self.role, json.dumps(self._timing)]
        if not self._timing:
            command = [sys.executable, "-m", "satcomp_infra.node", self.role]
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CLONE),
            **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.endpoint(self.address),
            "SQS_QUEUE_NAME": JOBS,
            "SQS_OUTPUT_QUEUE_NAME": RESULTS,
            "SATCOMP_BUCKET_NAME": BUCKET,
            "SATCOMP_COMPETITION_DIR": str(self.competition),
            "SATCOMP_SHARED_DIR": str(self.shared),
            **environment,
        }
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self.competition,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    @property
    def log(self) -> str:
        return self.output.read_text() if self.output.is_file() else ""  # reading a pipe might never end

    def directory(self, job_id: str) -> Path:
        """The directory of the job's only attempt that is under way."""
        (found,) = self.shared.glob(f"{job_id}.*")
        return found

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def await_log(self, text: str, within: float = PATIENCE) -> None:
        eventually(lambda: text in self.log, f"'{text}' in the {self.role}'s log", within)

    def catches(self, number: signal.Signals) -> bool:
        """Whether the process handles this signal already."""
        caught = Path(f"/proc/{self.pid}/status").read_text().split("SigCgt:")[1].split()[0]
        return bool(int(caught, 16) >> (number - 1) & 1)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert self._process
        self._process.send_signal(number)

    def wait(self, within: float = PATIENCE) -> int:
        assert self._process
        return self._process.wait(within)

    def end(self) -> None:
        """End the process and all that it started, whatever state the test has left them in."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        mark = f"SATCOMP_COMPETITION_DIR={self.competition}".encode()
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in environment.read_bytes().split(b"\0"):
                    os.kill(int(environment.parent.name), signal.SIGKILL)
