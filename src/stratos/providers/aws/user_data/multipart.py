"""User data in several parts, of the kinds that cloud-init and nodeadm tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

NODE_CONFIG = "application/node.eks.aws"
SHELL_SCRIPT = "text/x-shellscript"

_BOUNDARY = "==STRATOS=="  # the same for all: user data that is the same needs no second launch template


@dataclass(frozen=True, slots=True)
class Part:
    name: str  # for messages
    content_type: str
    text: str


def joined(parts: Iterable[Part]) -> str:
    document = MIMEMultipart("mixed", boundary=_BOUNDARY)
    for part in parts:
        body = MIMEText("", _charset=None)
        body.replace_header("Content-Type", f'{part.content_type}; charset="utf-8"')
        body.replace_header("Content-Transfer-Encoding", "8bit")
        body.set_payload(part.text)
        document.attach(body)
    return document.as_string()


def parts_of(name: str, text: str) -> Iterator[Part]:
    """What somebody wrote by hand: several parts already, or one whose beginning tells of what kind it is."""
    if text.lstrip().lower().startswith(("mime-version:", "content-type: multipart/")):
        for part in message_from_bytes(text.lstrip().encode()).walk():
            if not part.is_multipart():
                payload = part.get_payload(decode=True)
                yield Part(name, part.get_content_type(), payload.decode() if isinstance(payload, bytes) else "")
        return
    for beginning, content_type in (
        ("#!", SHELL_SCRIPT),
        ("#cloud-config", "text/cloud-config"),
        ("#cloud-boothook", "text/cloud-boothook"),
    ):
        if text.startswith(beginning):
            yield Part(name, content_type, text)
            return
    if "apiVersion: node.eks.aws/" in text:
        yield Part(name, NODE_CONFIG, text)
    else:
        yield Part(name, SHELL_SCRIPT, f"#!/bin/bash\n{text}")
