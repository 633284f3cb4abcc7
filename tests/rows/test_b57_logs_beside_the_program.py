"""Logs that leave by a collector beside the program: a shared directory, its configuration, and records at a sink.

No collector runs here. In its place, what its configuration says is done with OpenTelemetry's own SDK: the files that
the receiver includes are read, and their lines are sent to the exporter's endpoint.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from stratos.cli.manifests import read_manifests
from stratos.telemetry.logs import configure, get_logger
from stratos.testing.virtual_time import VirtualClock

EXAMPLE = Path(__file__).parents[2] / "examples" / "otel-logs"


@contextmanager
def otlp_sink() -> Iterator[tuple[str, list[ExportLogsServiceRequest]]]:
    """Where records arrive: its URL, and what came."""
    received: list[ExportLogsServiceRequest] = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportLogsServiceRequest()
            request.ParseFromString(self.rfile.read(int(self.headers["content-length"])))
            received.append(request)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", received
        server.shutdown()


def configuration() -> dict[str, Any]:
    (config_map,) = (each.obj for each in read_manifests([EXAMPLE]) if each.obj["kind"] == "ConfigMap")
    config: dict[str, Any] = yaml.safe_load(config_map["data"]["collector.yaml"])
    return config


def collect(config: Mapping[str, Any], directory: Path, endpoint: str) -> None:
    """What a collector with this configuration does with the files that are there, once."""
    pipeline = config["service"]["pipelines"]["logs"]
    (receiver,) = (config["receivers"][name] for name in pipeline["receivers"])
    attributes = {each["key"]: each["value"] for each in config["processors"]["resource"]["attributes"]}
    provider = LoggerProvider(Resource.create(attributes))
    provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{endpoint}/v1/logs")))
    logger = provider.get_logger("filelog")
    for pattern in receiver["include"]:
        for file in sorted(directory.glob(Path(pattern).name)):
            for line in file.read_text().splitlines():
                logger.emit(LogRecord(body=line))
    provider.shutdown()


def test_b57_program_and_collector_share_a_directory_of_limited_size() -> None:
    """Logs that nobody fetches must not fill the node's disk."""
    (pod,) = (
        each.obj["spec"]["template"]["spec"] for each in read_manifests([EXAMPLE]) if each.obj["kind"] == "Deployment"
    )

    mounts = {
        container["name"]: {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        for container in pod["containers"]
    }
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert mounts["app"]["logs"] == mounts["opentelemetry-collector"]["logs"] == "/logs"
    assert volumes["logs"]["emptyDir"] == {"sizeLimit": "500Mi"}
    (argument,) = pod["containers"][1]["args"]
    assert argument == f"--config={mounts['opentelemetry-collector']['opentelemetry-config']}/collector.yaml"


def test_b57_the_pipelines_of_the_collector_name_only_what_is_defined() -> None:
    """A collector that does not know a name ends at once, and the pod with it."""
    config = configuration()

    for pipeline in config["service"]["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(config[part])
    for receiver in config["receivers"].values():
        assert all(pattern.startswith("/logs/") for pattern in receiver["include"])


def test_b57_our_own_log_lines_arrive_as_records_with_their_fields(tmp_path: Path) -> None:
    """The controllers' file is made to be read that way."""
    configure(io.StringIO(), clock=VirtualClock(), file=tmp_path / "controller.log")
    get_logger("stratos.controllers.machines").info("machine started", claim="ci-1", seconds=18.2)
    configure(io.StringIO(), clock=VirtualClock())

    with otlp_sink() as (endpoint, received):
        collect(configuration(), tmp_path, endpoint)

    (resource_logs,) = (each for request in received for each in request.resource_logs)
    resource = {each.key: each.value.string_value for each in resource_logs.resource.attributes}
    assert resource["service.name"] == "my-app"
    (record,) = (record for scope in resource_logs.scope_logs for record in scope.log_records)
    line = json.loads(record.body.string_value)
    assert (line["event"], line["claim"], line["seconds"]) == ("machine started", "ci-1", 18.2)
