"""An API server for the real kubectl, whose pods are hosts of a lab.

    with Lab(2) as lab, ApiServer({"trainer-0": lab[0]}, tmp_path) as server:
        subprocess.run(["kubectl", "exec", "-i", "trainer-0", "--", "/bin/sh", "-c", "hostname"], env=server.environ)

It answers what `kubectl exec` asks: which resources there are, the pod, and the streams of a command over SPDY/3.1, as
a kubelet does (kubelet/cri/streaming/remotecommand). When the connection ends, the input of the command does; nobody
kills it.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import threading
import zlib
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

from tests import needs
from tests.lab.hosts import Host
from tests.lab.made import Made

CONTAINER = "main"
PODS = {"name": "pods", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"]}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "/version": {"major": "1", "minor": "20", "gitVersion": "v1.20.2"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [PODS]},
}
CONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "http://127.0.0.1:%d"}}]
users: [{name: lab, user: {}}]
contexts: [{name: lab, context: {cluster: lab, user: lab}}]
current-context: lab
"""
SYN_STREAM, SYN_REPLY, PING = 1, 2, 6
FIN = 1
# Streams come in this order (client-go, tools/remotecommand/v4.go), so that their compressed headers need no reading.
STREAMS = ("error", "stdin", "stdout", "stderr")


class ApiServer(Made):
    """One on a port of its own.

    Args:
        pods: name -> the host that runs it; None of a pod that has completed.
        folder: for kubectl's files.
    """

    def __init__(self, pods: Mapping[str, Host | None], folder: Path) -> None:
        self.kubectl = needs.program("kubectl", "kubernetes-client")
        self.pods = pods
        self.folder = folder
        self._server: ThreadingHTTPServer | None = None

    @property
    def environ(self) -> dict[str, str]:
        """Where kubectl finds this server and nothing of the user's."""
        return {**os.environ, "HOME": str(self.folder), "KUBECONFIG": str(self.folder / "config")}

    def make(self) -> None:
        pods = self.pods

        class Bound(_Handler):
            known = pods

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self._server.daemon_threads = True
        (self.folder / "config").write_text(CONFIG % self._server.server_port)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Handler(BaseHTTPRequestHandler):
    known: Mapping[str, Host | None]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the base class gave it
        pass

    def _answer(self, document: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: HTTPStatus, reason: str, message: str) -> None:
        told = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
        self._answer({**told, "reason": reason, "code": int(status)}, status)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.rstrip("/")
        if path in DOCUMENTS:
            self._answer(DOCUMENTS[path])
        elif path.endswith("/exec"):
            # kubectl since 1.30 asks for a WebSocket first, and for SPDY where it gets none.
            self._refuse(HTTPStatus.BAD_REQUEST, "BadRequest", "you must specify Upgrade: SPDY/3.1")
        else:
            self._pod(path)

    def _pod(self, path: str) -> None:
        *_, space, _, name = ["", "", *path.split("/")]
        if space == "closed":
            message = (
                f'pods "{name}" is forbidden: User "ada" cannot get resource "pods" in API group "" in the namespace'
            )
            self._refuse(HTTPStatus.FORBIDDEN, "Forbidden", f'{message} "{space}"')
        elif name not in self.known:
            self._refuse(HTTPStatus.NOT_FOUND, "NotFound", f'pods "{name}" not found')
        else:
            runs = self.known[name] is not None
            self._answer(
                {
                    "kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": space},
                    "spec": {"containers": [{"name": CONTAINER, "image": "lab"}]},
                    "status": {"phase": "Running" if runs else "Succeeded"},
                }
            )  # fmt: skip

    def do_POST(self) -> None:
        asked = urlsplit(self.path)
        name = asked.path.split("/")[-2]
        told = parse_qs(asked.query)
        host = self.known.get(name)
        if host is None or told.get("container", [CONTAINER]) != [CONTAINER]:
            message = f"container {told.get('container', [''])[0]} is not valid for pod {name}"
            self._refuse(HTTPStatus.BAD_REQUEST, "BadRequest", message)
            return
        self.send_response(HTTPStatus.SWITCHING_PROTOCOLS)
        for field, value in (
            ("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", "v4.channel.k8s.io"),
        ):  # fmt: skip
            self.send_header(field, value)
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):  # kubectl was killed
            _Streams(self.rfile, self.wfile).serve(host, told["command"])


class _Streams:
    """The streams of one command, in frames of SPDY/3.1."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self._reader, self._writer = reader, writer
        self._lock = threading.Lock()
        self._headers = zlib.compressobj()  # one for the whole connection; the dictionary need not be used
        self._number: dict[str, int] = {}

    def serve(self, host: Host, command: list[str]) -> None:
        """Run the command until it ends; the connection may end before."""
        while len(self._number) < len(STREAMS):
            self._read()
        with host.serve(*command) as process:
            assert process.stdin and process.stdout and process.stderr
            tellers = [
                threading.Thread(target=self._tell, args=(name, pipe), daemon=True)
                for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr))
            ]
            ending = threading.Thread(target=self._end, args=(process, tellers), daemon=True)
            for thread in (*tellers, ending):
                thread.start()
            with contextlib.suppress(OSError):  # it reads no more, or kubectl has gone
                self._feed(process, process.stdin)
            with contextlib.suppress(OSError):
                process.stdin.close()
            ending.join()

    def _feed(self, process: subprocess.Popen[bytes], pipe: IO[bytes]) -> None:
        while process.poll() is None and (said := self._read()) is not None:
            data, last = said
            if data:
                pipe.write(data)
            if last:
                pipe.close()

    def _read(self) -> tuple[bytes, bool] | None:
        """Take a frame: what was written to the command's input, and whether that was all; None at the end."""
        head = self._reader.read(8)
        if len(head) < 8:
            return None
        first, second = struct.unpack("!II", head)
        flags, data = second >> 24, self._reader.read(second & 0xFFFFFF)
        if not first >> 31:
            return (data, bool(flags & FIN)) if first == self._number.get("stdin") else (b"", False)
        kind = first & 0xFFFF
        if kind == SYN_STREAM:
            number = struct.unpack_from("!I", data)[0] & 0x7FFFFFFF
            self._number[STREAMS[len(self._number)]] = number
            nothing = self._headers.compress(struct.pack("!I", 0)) + self._headers.flush(zlib.Z_SYNC_FLUSH)
            self._control(SYN_REPLY, struct.pack("!I", number) + nothing)
        elif kind == PING:
            self._control(PING, data)
        return b"", False

    def _control(self, kind: int, data: bytes) -> None:
        self._write(struct.pack("!HHI", 0x8003, kind, len(data)) + data)

    def _data(self, stream: str, data: bytes, last: bool = False) -> None:
        self._write(struct.pack("!II", self._number[stream], (FIN if last else 0) << 24 | len(data)) + data)

    def _write(self, frame: bytes) -> None:
        with self._lock:
            self._writer.write(frame)

    def _tell(self, stream: str, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(pipe.fileno(), 1 << 15):
                self._data(stream, data)
            self._data(stream, b"", last=True)

    def _end(self, process: subprocess.Popen[bytes], tellers: list[threading.Thread]) -> None:
        status = process.wait()
        for teller in tellers:
            teller.join()
        told: dict[str, Any] = {"metadata": {}, "status": "Success"}
        if status:
            cause = {"reason": "ExitCode", "message": str(status)}
            said = f"command terminated with non-zero exit code: exit status {status}"
            told |= {"status": "Failure", "reason": "NonZeroExitCode", "message": said, "details": {"causes": [cause]}}
        with contextlib.suppress(OSError):
            self._data("error", json.dumps(told).encode(), last=True)
