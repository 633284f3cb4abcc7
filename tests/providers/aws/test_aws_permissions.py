"""The policy is made from one table: it must grant what the adapter calls, and nothing that it does not."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import stratos.providers.aws
from providers.aws.ec2_builders import a_clients
from stratos.providers.aws.permissions import ACTIONS, iam_policy
from stratos.testing.aws import LoopbackAws

FOLDER = Path(stratos.providers.aws.__file__).parent
MOST_LETTERS = 6144  # that IAM takes for a managed policy, without blanks


def words_of_the_adapter() -> Iterator[tuple[str, str]]:
    """Every text in its code, with the file it is in."""
    for file in sorted(FOLDER.rglob("*.py")):
        if file.name != "permissions.py":
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value, file.name


def operations_called() -> set[tuple[str, str]]:
    """What is named where the SDK's door is used: ``call("ec2", "run_instances", …)``."""
    called = set()
    for file in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
                if node.func.attr in ("call", "pages") and len(texts) >= 2:
                    called.add((str(texts[0]), str(texts[1])))
    return called


def test_every_operation_that_is_called_is_in_the_table() -> None:
    assert len(operations_called()) > 10
    assert operations_called() <= ACTIONS.keys()


def test_every_operation_in_the_table_is_called() -> None:
    """A right that nobody needs is one that somebody else may use."""
    words = {word for word, _ in words_of_the_adapter()}

    assert [operation for _, operation in ACTIONS if operation not in words] == []


def test_every_operation_in_the_table_is_one_of_aws() -> None:
    """A name misspelled would come out at the first call only, at somebody else's place."""
    boto3: Any = import_module("boto3")
    for service in sorted({service for service, _ in ACTIONS}):
        known = boto3.client(service, region_name="us-east-1").meta.method_to_api_mapping
        assert [operation for of, operation in ACTIONS if of == service and operation not in known] == []


def test_what_is_not_in_the_table_is_not_called(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """Otherwise it would work for whoever wrote it, with all rights, and for nobody else."""

    async def main() -> None:
        with pytest.raises(LookupError, match="reboot_instances"):
            await a_clients(aws).call("ec2", "reboot_instances", InstanceIds=["i-1"])

    aws_loop.run(main())


def test_machines_of_others_cannot_be_ended_with_the_policy() -> None:
    """A mistake in one cluster must not reach the next one in the same account."""
    policy = iam_policy("prod")

    changing = [
        statement
        for statement in policy["Statement"]
        if any(
            action.startswith(("ec2:Terminate", "ec2:Stop", "ec2:Start", "ec2:Delete"))
            for action in statement["Action"]
        )
    ]

    assert changing
    for statement in changing:
        assert statement["Condition"] == {"StringEquals": {"aws:ResourceTag/stratos.sh/cluster": ["prod"]}}


def test_the_policy_fits_into_one_and_is_written_for_the_partition() -> None:
    policy = iam_policy("a-cluster-with-quite-a-long-name-as-people-give-them", partition="aws-cn")

    assert len(json.dumps(policy, separators=(",", ":"))) < MOST_LETTERS
    assert "arn:aws:" not in json.dumps(policy) and "{" not in policy["Statement"][-1]["Resource"][0]
