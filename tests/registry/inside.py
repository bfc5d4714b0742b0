"""A Docker engine and a registry in ECR's place, in namespaces of their own: started by `engine`, as a program.

In this mount and network namespace the registry's name means this machine, port 443 is free whatever else runs, and the
engine's disk is a small one in memory. Between the two stands a proxy, which does wrong what it is told to.
Lines of JSON come in, and one goes out for each. The end of the input is the end of everything.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
USER, PASSWORD = "AWS", "123456789012-auth-token"  # what moto gives out
REGISTRY = "127.0.0.1:5000"
DISK = "192m"


class Proxy(BaseHTTPRequestHandler):
    """Passes everything on, except what a fault is about. A fault is used up after so many `times`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    faults: ClassVar[list[dict[str, Any]]] = []
    seen: ClassVar[list[str]] = []
    lock = threading.Lock()

    def log_message(self, *_: object) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (OSError, ValueError):  # the engine has gone away, perhaps in the middle of a layer
            self.close_connection = True

    def pass_on(self) -> None:
        fault = self.fault()
        body = self.body(fault.get("seconds_per_mb", 0))
        if fault.get("cut"):
            self.close_connection = True
            return
        if "status" in fault:
            headers = {"Content-Type": fault.get("type", "application/json"), **fault.get("headers", {})}
            self.answer(fault["status"], headers, fault["body"].encode())
            return
        upstream = http.client.HTTPConnection(REGISTRY)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():  # some, as Accept, come several times
            if name.lower() not in ("transfer-encoding", "content-length"):
                upstream.putheader(name, value)
        upstream.putheader("Content-Length", str(len(body)))
        upstream.endheaders(body)
        answer = upstream.getresponse()
        self.answer(answer.status, dict(answer.getheaders()), answer.read())
        upstream.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = pass_on  # noqa: N815  # the base class's names

    def fault(self) -> dict[str, Any]:
        with self.lock:
            self.seen.append(f"{self.command} {self.path}")
            for fault in self.faults:
                if re.search(fault["about"], self.seen[-1]) and fault["times"]:
                    fault["times"] -= 1
                    return fault
        return {}

    def body(self, seconds_per_mb: float) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
            time.sleep(size / 1e6 * seconds_per_mb)
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body)


def run(*words: str | Path) -> bytes:
    return subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout


def prepare(home: Path) -> ssl.SSLContext:
    """Make the namespaces ready; returns the proxy's certificate, which the engine trusts."""
    run("busybox", "ip", "link", "set", "lo", "up")
    (home / "hosts").write_text(f"127.0.0.1 localhost {HOST}\n")
    run("mount", "--bind", home / "hosts", "/etc/hosts")
    trusted = home / "etc-docker" / "certs.d" / HOST
    trusted.mkdir(parents=True)
    key, certificate = home / "key.pem", trusted / "ca.crt"
    names = f"subjectAltName=DNS:{HOST},IP:127.0.0.1"
    run(
        *(
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ),
        *("-subj", "/CN=registry", "-addext", names, "-keyout", key, "-out", certificate),
    )
    Path("/etc/docker").mkdir(exist_ok=True)
    run("mount", "--bind", home / "etc-docker", "/etc/docker")
    (home / "data").mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", home / "data")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def start(home: Path, context: ssl.SSLContext) -> None:
    (home / "htpasswd").write_bytes(run("htpasswd", "-Bbn", USER, PASSWORD))
    settings = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(home / "registry")}},
        "http": {"addr": REGISTRY, "relativeurls": True},
        "auth": {"htpasswd": {"realm": "registry", "path": str(home / "htpasswd")}},
    }
    (home / "registry.yml").write_text(json.dumps(settings))  # which is YAML, too
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    subprocess.Popen(
        ["docker-registry", "serve", home / "registry.yml"], **quiet, stdout=(home / "registry.log").open("w")
    )
    subprocess.Popen(
        [
            *("dockerd", "--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none"),
            *("--ip-forward=false", "--ip-masq=false", f"--data-root={home}/data", f"--exec-root={home}/exec"),
            *(f"--pidfile={home}/engine.pid", f"--host=unix://{home}/engine.sock"),
        ],
        **quiet,
        stdout=(home / "engine.log").open("w"),
    )
    server = ThreadingHTTPServer(("127.0.0.1", 443), Proxy)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def manifest(path: str) -> Any:
    """Ask the registry itself, past the proxy."""
    login = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    request = urllib.request.Request(
        f"http://{REGISTRY}/v2/{path}",
        headers={
            "Authorization": f"Basic {login}",
            "Accept": "application/vnd.docker.distribution.manifest.v2+json",
        },
    )
    with urllib.request.urlopen(request) as answer:
        return {"digest": answer.headers["Docker-Content-Digest"], **json.load(answer)}


def obey(home: Path, order: dict[str, Any]) -> Any:
    if "faults" in order:
        with Proxy.lock:
            Proxy.faults, Proxy.seen = order["faults"], []
    if "manifest" in order:
        return manifest(order["manifest"])
    filler = home / "data" / "filler"
    if order.get("fill"):
        with filler.open("wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
                    file.flush()
            except OSError:
                pass
    if order.get("fill") is False:
        filler.unlink(missing_ok=True)
    return Proxy.seen


def main() -> None:
    home = Path(sys.argv[1])
    start(home, prepare(home))
    for line in sys.stdin:
        print(json.dumps(obey(home, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
