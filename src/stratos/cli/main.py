"""The ``stratos`` command. Each subcommand lives in a module of its own, imported when it is asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stratos.base.errors import StratosError
from stratos.cli.catalog import catalog_app
from stratos.cli.controller.command import controller
from stratos.cli.estimate.command import OrderedCommand, estimate

app = typer.Typer(
    name="stratos",
    help="Every workload gets the right machine, already warm, at the lowest price, on any cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
get_app = typer.Typer(help="List what Stratos looks after.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(get_app, name="get")
app.add_typer(catalog_app, name="catalog")
bench_app = typer.Typer(help="Measure Stratos on this machine.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(bench_app, name="bench")

Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="Which cluster. Default: KUBECONFIG, the one `stratos up` runs, ~/.kube/config."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


@app.command()
def agent(
    node_name: Annotated[str, typer.Option(envvar="NODE_NAME", help="The node of the host this runs on.")] = "",
    imds: Annotated[
        str, typer.Option(envvar="STRATOS_IMDS", help="The metadata service of the host's machine.")
    ] = "http://169.254.169.254",
    poll_interval: Annotated[str, typer.Option(metavar="DURATION", help="Between two questions to it.")] = "5s",
    json_logs: Annotated[bool, typer.Option("--json-logs", help="One JSON object a line.")] = False,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Run beside the kubelet of a host: its node then says when the cloud is about to take the machine back."""
    from stratos.cli.agent import AgentOptions, run_agent

    run_agent(
        AgentOptions(
            node_name=node_name, imds=imds, poll_interval=poll_interval, kubeconfig=kubeconfig, json_logs=json_logs
        )
    )


@app.command()
def up(
    cloud: Annotated[str, typer.Option(help="Where machines come from; sim is the simulated cloud.")] = "sim",
    catalog: Annotated[
        str, typer.Option(help="What it sells, such as gcp/us-central1. Default: as before, or aws/us-east-1.")
    ] = "",
    speed: Annotated[
        float,
        typer.Option(
            min=0.1,
            max=1000,
            help="Run so many times as fast as real time. The cluster's clock then runs ahead of yours.",
        ),
    ] = 1.0,
    data_dir: Annotated[Path, typer.Option(help="Where everything is kept; started again there, it resumes.")] = Path(
        "~/.stratos"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the Kubernetes API; 0 takes a free one.")] = 6443,
    file: Annotated[list[Path] | None, typer.Option("--file", "-f", help="Manifests to apply once it runs.")] = None,
    cluster_cost_limit: Annotated[
        float | None, typer.Option(min=0, help="The most that machines of all templates may cost, in $/h.")
    ] = None,
    cluster_gpu_limit: Annotated[
        int | None, typer.Option(min=0, help="The most GPUs that machines of all templates may have.")
    ] = None,
) -> None:
    """Run a whole cluster in this process: Kubernetes API, scheduler, controllers, and a simulated cloud."""
    from stratos.cli.up import run_up

    run_up(
        cloud,
        catalog,
        speed,
        data_dir.expanduser(),
        port,
        file or [],
        cost_limit=cluster_cost_limit,
        gpu_limit=cluster_gpu_limit,
    )


@app.command()
def demo(
    scenario: Annotated[str, typer.Argument(help="ci, llm, scale-to-zero or spot.")] = "ci",
    json_output: Json = False,
    seed: Annotated[int, typer.Option(help="Of all chance in it.")] = 1,
) -> None:
    """Play a founding use case in virtual time, and show what a warm pool changes. Fails if the promise is not kept."""
    from stratos.cli.demo import run_demo

    sys.exit(run_demo(scenario, seed=seed, as_json=json_output))


app.command()(controller)
app.command(cls=OrderedCommand)(estimate)


@app.command()
def plan(
    file: Annotated[list[Path] | None, typer.Option("--file", "-f", help="Manifests to add. None: rebalance.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to keep the plan. Default: ~/.stratos/plan.json.")] = None,
    catalog: Annotated[
        str, typer.Option(help="What the cluster's cloud sells: cloud/region. Default: as its nodes tell.")
    ] = "",
    json_output: Json = False,
    kubeconfig: Kubeconfig = None,
) -> None:
    """What would the cluster do about these manifests? Without any: could its machines be had for less?"""
    from stratos.cli.plan import run_plan

    run_plan(file or [], out, catalog, as_json=json_output, kubeconfig=kubeconfig)


@app.command("apply")
def apply_planned(
    planned: Annotated[Path | None, typer.Argument(help="What `stratos plan` kept. Default: the last plan.")] = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Do exactly what was planned: ask for the machines and apply the manifests, or nothing if the cluster moved on."""
    from stratos.cli.plan import run_apply

    run_apply(planned, kubeconfig)


@app.command()
def explain(
    what: Annotated[str, typer.Argument(help="pod/NAME, node/NAME, nodepool/NAME or nodetemplate/NAME.")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of a pod.")] = "default",
    json_output: Json = False,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Tell why something is where it is, or why it still waits."""
    from stratos.cli.explain import run_explain

    run_explain(what, namespace, as_json=json_output, kubeconfig=kubeconfig)


@get_app.command("pools")
def get_pools(json_output: Json = False, kubeconfig: Kubeconfig = None) -> None:
    """Warm pools, their machines and what they cost."""
    from stratos.cli.pools import run_get_pools

    run_get_pools(as_json=json_output, kubeconfig=kubeconfig)


@app.command()
def crds() -> None:
    """Print the CustomResourceDefinitions, ready for `kubectl apply -f -`."""
    from stratos.cli.crds import run_crds

    run_crds()


@app.command()
def install(
    values: Annotated[
        list[Path] | None, typer.Option("--values", "-f", help="Values as the Helm chart has them, in YAML files.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE: one value, such as clusterName=production.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option(help="Print the manifests, for kubectl apply --server-side -f -, and apply nothing.")
    ] = False,
    print_iam_policy: Annotated[
        bool, typer.Option(help="Print what the controllers must be allowed to do on AWS, and apply nothing.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Until everything runs.")] = True,
    timeout: Annotated[str, typer.Option(help="How long to wait.")] = "5m",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Install Stratos on a cluster that is there already, or upgrade it."""
    from stratos.cli.install.install import InstallOptions, run_install

    run_install(
        InstallOptions(
            values=values or [],
            settings=settings or [],
            kubeconfig=kubeconfig,
            dry_run=dry_run,
            print_iam_policy=print_iam_policy,
            wait=wait,
            timeout=timeout,
        )
    )


@app.command()
def uninstall(
    force: Annotated[bool, typer.Option(help="Even if machines are left running that nobody looks after.")] = False,
    delete_machines: Annotated[
        bool, typer.Option(help="Delete all pools and templates first, and wait until their machines are gone.")
    ] = False,
    delete_crds: Annotated[
        bool, typer.Option(help="Delete the kinds too, and with them every object of ours.")
    ] = False,
    webhook_config_prefix: Annotated[str, typer.Option(help="As it was installed: webhook.configPrefix.")] = "",
    timeout: Annotated[str, typer.Option(help="How long to wait for machines to go.")] = "15m",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Take Stratos off a cluster. Its kinds and their objects stay unless told otherwise."""
    from stratos.cli.install.uninstall import UninstallOptions, run_uninstall

    run_uninstall(
        UninstallOptions(
            kubeconfig=kubeconfig,
            force=force,
            delete_machines=delete_machines,
            delete_crds=delete_crds,
            webhook_config_prefix=webhook_config_prefix,
            timeout=timeout,
        )
    )


@app.command()
def doorman(
    listen: Annotated[str, typer.Option(help="Where requests come in: HOST:PORT, or :PORT on all addresses.")] = (
        ":8000"
    ),
    metrics_bind_address: Annotated[
        str, typer.Option(help="Where /metrics, /healthz and /readyz are served; 0 for nowhere.")
    ] = ":8080",
    max_held: Annotated[int, typer.Option(min=1, help="The most requests that wait at a time, over all routes.")] = (
        10_000
    ),
    max_held_bytes: Annotated[
        int, typer.Option(min=0, help="The most memory for the bodies of waiting requests.")
    ] = 128 * 1024 * 1024,
    graceful_shutdown_timeout: Annotated[
        str, typer.Option(help="How long requests under way may take once it is told to stop.")
    ] = "25s",
    json_logs: Annotated[bool, typer.Option("--json-logs", help="One JSON object a line.")] = False,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Hold requests for services that sleep, wake them, and let the requests through. See docs/scale-to-zero.md."""
    from stratos.cli.doorman import run_doorman

    run_doorman(
        kubeconfig,
        listen=listen,
        metrics_bind_address=metrics_bind_address,
        max_held=max_held,
        max_held_bytes=max_held_bytes,
        graceful_shutdown_timeout=graceful_shutdown_timeout,
        json_logs=json_logs,
    )


@app.command()
def sim(
    seed: Annotated[int, typer.Option(help="The first seed; a failing one is printed and replays identically.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds in a row.")] = 1,
    hours: Annotated[float, typer.Option(min=0.01, help="How long each simulated run is.")] = 2.0,
    faults: Annotated[str, typer.Option(help="Which faults to inject, by name, separated by commas; all or none.")] = (
        "all"
    ),
    json_output: Json = False,
) -> None:
    """Run the real controllers through simulated bad days, and check the laws all along."""
    from stratos.cli.sim import run_sim

    sys.exit(run_sim(seed, seeds, hours, faults, as_json=json_output))


@app.command()
def convert(
    file: Annotated[
        list[Path],
        typer.Option("--file", "-f", help="Terraform (.tf, .tf.json) or an API's JSON with node templates."),
    ],
    node_class: Annotated[
        str, typer.Option(help="The class that launches the machines, as KIND/NAME.")
    ] = "AWSNodeClass/default",
) -> None:
    """Print node templates written for other tools as NodeTemplates, ready for `kubectl apply -f -`."""
    from stratos.cli.convert.run import run_convert

    run_convert(file, node_class)


@bench_app.command("packing")
def bench_packing(
    set_name: Annotated[
        str | None,
        typer.Option(
            "--set", help="field, distinct, preferences, existing, smooth or memory-heavy. Default: all of them."
        ),
    ] = None,
    pods: Annotated[int | None, typer.Option(min=1, help="How many pods. Default: the sizes of each set.")] = None,
    effort: Annotated[
        str | None,
        typer.Option(help="fast: greedy, as when pods wait. best: with patterns. Default: as usual for a set."),
    ] = None,
    allowance: Annotated[
        float, typer.Option(min=0.1, help="What best may spend on a better answer, in seconds of a machine like ours.")
    ] = 8.0,
    rounds: Annotated[int, typer.Option(min=1, help="Each is run so often; seconds are the median.")] = 1,
    seed: Annotated[int, typer.Option(help="Of all chance in the sets.")] = 42,
    pods_file: Annotated[
        Path | None,
        typer.Option(help='JSON: [{"name","cpu","mem_mib","gpu"?,"gpu_skus"?,"arch"?,"zone"?,"node_selector"?}].'),
    ] = None,
    types_file: Annotated[
        Path | None,
        typer.Option(
            help='JSON: {"overhead":{"cpu","mem_mib"},"types":[{"name","vcpu","mem_gib","pods","arch","os",'
            '"price_on_demand","price_spot","zones","gpu"?,"gpu_sku"?}]}.'
        ),
    ] = None,
    zones: Annotated[
        list[str] | None, typer.Option(help="With files: only these zones; several times, or separated by commas.")
    ] = None,
    pricing: Annotated[str, typer.Option(help="With files: on-demand, spot or both.")] = "on-demand",
    json_output: Json = False,
) -> None:
    """How fast and how cheap pods are packed, with nodes, cost, lower bound and unplaced pods."""
    from stratos.cli.bench.packing import run_packing

    run_packing(
        set_name,
        pods,
        effort,
        rounds,
        seed,
        files=(pods_file, types_file),
        zones=zones or (),
        pricing=pricing,
        print_json=json_output,
        allowance_seconds=allowance,
    )


def main() -> None:
    try:
        app()
    except StratosError as error:
        print(error.explain(), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
