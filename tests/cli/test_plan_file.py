"""The file between `stratos plan` and `stratos apply`: what is in it is what will be done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from stratos.base.errors import Invalid, NotFound
from stratos.cli.plan_file import KeptManifest, KeptPlan, new_plan, read_plan, write_plan
from stratos.planning.provisioning import plan_provisioning
from stratos.planning.provisioning.plan import NewMachine
from stratos.testing.provisioning_builders import NOW, a_look, a_shop, a_template, a_type, a_waiting_pod

SHOP = a_shop((a_type("s.small", 2, 4), 0.05), (a_type("s.large", 8, 16), 0.20))


def machines_for(*pods: str) -> tuple[NewMachine, ...]:
    waiting = [a_waiting_pod(name, cpu="1500m") for name in pods]
    return plan_provisioning(a_look(a_template("any", isDefault=True), waiting=waiting, shop=SHOP)).machines


def a_plan(*pods: str) -> KeptPlan:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "x"}}
    return new_plan(NOW, "https://here", "aws/us-east-1", machines_for(*pods), [KeptManifest(secret, "s.yaml")])


def test_a_plan_is_read_back_as_it_was_made_by_nobody_but_its_owner(tmp_path: Path) -> None:
    """It holds the manifests, and these may hold passwords."""
    file = tmp_path / "new" / "plan.json"
    write_plan(file, a_plan("a", "b"))
    write_plan(file, a_plan("a"))
    assert read_plan(file) == a_plan("a")
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["plan.json"]


def test_whatever_is_no_plan_is_refused_with_the_way_to_one(tmp_path: Path) -> None:
    """Most often there is none yet."""
    with pytest.raises(NotFound, match="there is no plan in") as caught:
        read_plan(tmp_path / "plan.json")
    assert caught.value.hint == "make one first: stratos plan -f FILE"
    garbage = tmp_path / "garbage.json"
    garbage.write_text('{"version": "one"}')
    with pytest.raises(Invalid, match=r"garbage\.json is no plan"):
        read_plan(garbage)
    with pytest.raises(Invalid, match="is no plan"):
        read_plan(tmp_path)
    later = tmp_path / "later.json"
    write_plan(later, msgspec.structs.replace(a_plan("a"), version=99))
    with pytest.raises(Invalid, match="of another version"):
        read_plan(later)


def test_a_plan_holds_as_long_as_the_same_machines_would_be_asked_for() -> None:
    """Which pod goes to which of them may change; what is paid for may not."""
    plan = a_plan("a", "b")
    assert plan.moved_on(machines_for("c", "d")) == ()
    assert plan.moved_on(machines_for("c")) == (
        f"planned were 2, now it would be 1 × {plan.machines[0].title} at $0.0500/h",
    )
    dearer = [
        replace(each, candidate=replace(each.candidate, price_usd_per_hour=1.0)) for each in machines_for("a", "b")
    ]
    assert [line.rpartition(" at ")[2] for line in plan.moved_on(dearer)] == ["$0.0500/h", "$1.0000/h"]
