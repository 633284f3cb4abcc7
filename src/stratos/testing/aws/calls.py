"""Calls to AWS as they come over the wire, in the three protocols that our clients speak, and errors in the same.

EC2 and IAM take forms and answer in XML; SQS and SSM take and give JSON with the operation in a header; EKS is REST.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import msgspec
from aiohttp import web

_SCOPE = re.compile(r"Credential=([^/,]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_EC2_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>{code}</Code><Message>{message}</Message>'
    "</Error></Errors><RequestID>loopback</RequestID></Response>"
)
_QUERY_ERROR = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    "<RequestId>loopback</RequestId></ErrorResponse>"
)


@dataclass(frozen=True, slots=True)
class AwsCall:
    service: str  # ec2, iam, sqs, ssm, eks …
    operation: str  # RunInstances
    region: str
    access_key: str
    parameters: Mapping[str, Any]  # of a form: flat, as it came

    @property
    def action(self) -> str:
        """What a policy calls it."""
        return f"{self.service}:{self.operation}"


class AwsError(Exception):
    """What AWS says instead of doing as asked."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def parse_call(request: web.Request, body: bytes) -> AwsCall:
    scope = _SCOPE.search(request.headers.get("authorization", ""))
    access_key, region, service = scope.groups() if scope else ("", "", "")
    target = request.headers.get("x-amz-target", "")
    parameters: Mapping[str, Any]
    if target:
        operation = target.rpartition(".")[2]
        parameters = msgspec.json.decode(body) if body else {}
    elif "x-www-form-urlencoded" in request.headers.get("content-type", ""):
        parameters = dict(parse_qsl(body.decode(), keep_blank_values=True))
        operation = parameters.get("Action", "")
    else:
        operation, parameters = _rest_operation(request), {}
    return AwsCall(service, operation, region, access_key, parameters)


def _rest_operation(request: web.Request) -> str:
    if re.fullmatch(r"/clusters/[^/]+", request.path):
        return "DescribeCluster"
    return f"{request.method} {request.path}"


def error_answer(call: AwsCall, error: AwsError) -> web.Response:
    """The error, said as the call's service says it."""
    if call.service in ("sqs", "ssm", "eks"):
        document = {"__type": error.code, "message": error.message}
        return web.Response(
            body=msgspec.json.encode(document),
            status=error.status,
            content_type="application/json",
            headers={"x-amzn-errortype": error.code},
        )
    form = _EC2_ERROR if call.service == "ec2" else _QUERY_ERROR
    text = form.format(code=escape(error.code), message=escape(error.message))
    return web.Response(text=text, status=error.status, content_type="text/xml")
