"""Training in bursts: a Ray cluster of three GPU machines that always run, against machines that come with the trials.

It is a trace on the simulated cloud and not a training: trials take the time they are said to take. What is compared is
what machines cost while nobody uses them, and how long a search of hyperparameters takes.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from functools import partial

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_template, wait_running
from rows.template_world import SPARING, add_job, add_pod, job_is_done
from stratos.apis.pod import POD

TRIALS, TRIAL_SECONDS = 6, 300
SEARCHES, PERIOD_SECONDS = 2, 2100
GPU = {"instanceFamilies": {"include": ["g4dn"]}, "maxCpu": 4, "azs": ["us-east-1a"]}


@dataclass(frozen=True, slots=True)
class Outcome:
    elapsed_seconds: float  # of all searches together
    cost_usd: float
    idle_usd: float  # of it, for machines that ran no trial


async def searches(story: Story, parallelism: int) -> Outcome:
    """A search at the beginning of each period, and what all of it came to at the end of the last."""
    paid_before, elapsed = story.cloud.cost().machines_usd, 0.0
    for number in range(SEARCHES):
        name = f"search-{number}"
        trials = {"completions": TRIALS, "parallelism": parallelism}
        await add_job(story, name, **trials, cpu="2", gpus=1, seconds=TRIAL_SECONDS)
        took = await story.wait(partial(job_is_done, story, name), PERIOD_SECONDS, every=5)
        await asyncio.sleep(PERIOD_SECONDS - took)
        elapsed += took
    paid = story.cloud.cost().machines_usd - paid_before
    price = story.cloud.catalog.offerings("g4dn.xlarge")[0].price_usd_per_hour
    return Outcome(elapsed, paid, paid - SEARCHES * TRIALS * TRIAL_SECONDS / 3600 * price)


def test_b54_elastic_machines_idle_less_than_half_as_much_and_searches_end_sooner() -> None:
    """Published: idle cost down by 66 %, elapsed time by 7 to 61 %."""
    outcomes: dict[str, Outcome] = {}

    async def fixed(story: Story) -> None:
        await add_template(story, isDefault=True, constraints=GPU, disruption={"policy": "Never"})
        for number in range(3):
            await add_pod(story, f"worker-{number}", cpu="2", gpus=1)
        await wait_running(story, 3, every=5)
        for number in range(3):
            await story.client.delete(POD, f"default/worker-{number}")
        await asyncio.sleep(30)
        outcomes["fixed"] = await searches(story, parallelism=3)
        assert story.calls()["launch"] == 3

    async def elastic(story: Story) -> None:
        at_once = {"nodeUnneededDuration": "2m", "budgets": [{"nodes": "100%"}]}
        await add_template(story, isDefault=True, constraints=GPU, disruption=at_once)
        outcomes["elastic"] = await searches(story, parallelism=TRIALS)
        assert not story.machines()

    tell(fixed, kubelets=SPARING)
    tell(elastic, kubelets=SPARING)

    before, after = outcomes["fixed"], outcomes["elastic"]
    sys.stdout.write(f"fixed: {before}\nelastic: {after}\n")
    assert after.idle_usd <= 0.4 * before.idle_usd
    assert after.elapsed_seconds < before.elapsed_seconds
    assert after.cost_usd < before.cost_usd
