"""A resource metrics API that says what a test wants: runs in a pod, which has nothing but the standard library.

`python3 metrics_api.py <directory with tls.crt and tls.key> <CPU of every memcached, like 100m>`
"""

from __future__ import annotations

import datetime as dt
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GROUP_VERSION = "metrics.k8s.io/v1beta1"


class Handler(BaseHTTPRequestHandler):
    cpu = ""

    def do_GET(self) -> None:
        body = json.dumps(self._pods() if "/pods" in self.path else self._discovery()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pods(self) -> dict[str, Any]:
        namespace = self.path.split("/namespaces/")[1].split("/")[0]
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        containers = [{"name": "memcached", "usage": {"cpu": self.cpu, "memory": "60Mi"}}]
        items = [
            {
                "metadata": {"name": f"cache-{ordinal}", "namespace": namespace},
                "timestamp": now,
                "window": "1s",
                "containers": containers,
            }
            for ordinal in range(10)
        ]
        return {"kind": "PodMetricsList", "apiVersion": GROUP_VERSION, "metadata": {}, "items": items}

    def _discovery(self) -> dict[str, Any]:
        pods = {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": [pods]}


def main() -> None:
    directory, Handler.cpu = sys.argv[1:]
    server = ThreadingHTTPServer(("", 8443), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{directory}/tls.crt", f"{directory}/tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
