"""The guide for EKS users says what the commands say: prices above all."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from stratos.cli.main import app

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "eks.md").read_text()


def test_the_quote_in_the_guide_is_what_the_command_prints() -> None:
    """Who decides by a number must be able to trust it."""
    result = CliRunner().invoke(
        app, ["estimate", "-f", str(ROOT / "examples/ci-runners/pool.yaml"), "--region", "us-west-2"]
    )

    assert result.exception is None
    assert result.stdout.strip() in GUIDE


def test_the_bills_of_the_guide_add_up() -> None:
    bills = re.findall(r"5 × (\d+) h × \$0\.384 = \$([\d,.]+) \| \$80\.00 \| \*\*\$([\d,.]+)\*\*", GUIDE)

    assert len(bills) == 3
    for hours, machines, month in bills:
        running = 5 * int(hours) * 0.384
        assert float(machines.replace(",", "")) == round(running, 2)
        assert float(month.replace(",", "")) == round(running + 80, 2)


def test_the_values_of_the_guide_are_values(tmp_path: Path) -> None:
    """A name that the installation does not know would stop the reader at step 5."""
    block = GUIDE.split("cat > values.yaml <<END\n")[1].split("\nEND")[0]
    values = tmp_path / "values.yaml"
    values.write_text(block.replace("$CLUSTER", "my-cluster").replace("$AWS_REGION", "us-west-2"))

    result = CliRunner().invoke(app, ["install", "--dry-run", "--values", str(values)])

    assert result.exception is None, result.exception
    assert "interruptionQueue: stratos-my-cluster" in result.output
