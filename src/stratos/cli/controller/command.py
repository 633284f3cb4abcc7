"""The options of ``stratos controller``.

Every one may also be set by an environment variable, or in a file under its camelCase name. A flag wins over the
environment, the environment over the file. All that is imported here is imported by every command.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stratos.cli.controller.config import configured


def _env(name: str, *others: str) -> Any:
    return [f"STRATOS_{name}", *others]


def controller(
    config: Annotated[
        Path | None,
        typer.Option(
            envvar=_env("CONFIG"),
            is_eager=True,
            callback=configured,
            help="YAML with any of these options, camelCase.",
        ),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(help="Which cluster. Default: the one this runs in, or what kubectl would use."),
    ] = None,
    cluster_name: Annotated[
        str,
        typer.Option(envvar=_env("CLUSTER_NAME", "CLUSTER_NAME"), help="Marks whose machines are whose in the cloud."),
    ] = "default",
    cloud_provider: Annotated[
        str, typer.Option(envvar=_env("CLOUD_PROVIDER"), help="Where machines come from: aws, or fake to try it.")
    ] = "aws",
    region: Annotated[
        str,
        typer.Option(
            envvar=_env("REGION", "AWS_REGION"), help="Of node classes that name none. With fake also CLOUD/REGION."
        ),
    ] = "",
    cluster_endpoint: Annotated[
        str,
        typer.Option(envvar=_env("CLUSTER_ENDPOINT"), help="Where machines reach the API. Default: the kubeconfig's."),
    ] = "",
    cluster_ca: Annotated[
        str,
        typer.Option(envvar=_env("CLUSTER_CA"), help="The API's authority, PEM in base64. Default: the one used here."),
    ] = "",
    cluster_cidr: Annotated[
        str, typer.Option(envvar=_env("CLUSTER_CIDR"), help="The network of services. Default: found by one of them.")
    ] = "",
    interruption_queue: Annotated[
        str,
        typer.Option(
            envvar=_env("INTERRUPTION_QUEUE"),
            help="The SQS queue that EventBridge tells of spot interruptions. Its name has the cluster's name in it.",
        ),
    ] = "",
    standby_node: Annotated[
        str,
        typer.Option(
            envvar=_env("STANDBY_NODE"),
            metavar="Keep|Remove",
            help="What becomes of the Node of a machine that stands by, where its pool does not say.",
        ),
    ] = "Keep",
    sync_period: Annotated[
        str,
        typer.Option(
            envvar=_env("SYNC_PERIOD"),
            metavar="DURATION",
            help="How often all machines are compared with the cloud, though nothing is known to have changed.",
        ),
    ] = "30s",
    graceful_shutdown_timeout: Annotated[
        str,
        typer.Option(
            envvar=_env("GRACEFUL_SHUTDOWN_TIMEOUT"),
            metavar="DURATION",
            help="How long what is under way may take to finish once asked to stop.",
        ),
    ] = "30s",
    metrics_bind_address: Annotated[
        str, typer.Option(envvar=_env("METRICS_BIND_ADDRESS"), help="Where /metrics is served; 0: nowhere.")
    ] = ":8080",
    health_probe_bind_address: Annotated[
        str,
        typer.Option(envvar=_env("HEALTH_PROBE_BIND_ADDRESS"), help="Of /healthz and /readyz; 0: nowhere."),
    ] = ":8081",
    webhook_bind_address: Annotated[
        str,
        typer.Option(envvar=_env("WEBHOOK_BIND_ADDRESS"), help="Where API servers ask about pods; 0: nowhere."),
    ] = "0",
    webhook_config_prefix: Annotated[
        str,
        typer.Option(
            envvar=_env("WEBHOOK_CONFIG_PREFIX"), help="What the names of our webhook configurations begin with."
        ),
    ] = "",
    leader_elect: Annotated[
        bool, typer.Option(envvar=_env("LEADER_ELECT"), help="Let replicas choose one of them to act.")
    ] = False,
    leader_elect_namespace: Annotated[
        str,
        typer.Option(envvar=_env("LEADER_ELECT_NAMESPACE"), help="Where their lease is. Default: where this runs."),
    ] = "",
    leader_elect_identity: Annotated[
        str, typer.Option(envvar=_env("LEADER_ELECT_IDENTITY"), help="As whom to stand. Default: the host, and chance.")
    ] = "",
    leader_elect_lease_duration: Annotated[
        str,
        typer.Option(
            envvar=_env("LEADER_ELECT_LEASE_DURATION"),
            metavar="DURATION",
            help="How long a lease that is not renewed keeps others out. Whole seconds.",
        ),
    ] = "15s",
    leader_elect_renew_deadline: Annotated[
        str,
        typer.Option(
            envvar=_env("LEADER_ELECT_RENEW_DEADLINE"),
            metavar="DURATION",
            help="How long a leader that cannot renew goes on. Well below the lease's duration.",
        ),
    ] = "10s",
    leader_elect_retry_period: Annotated[
        str, typer.Option(envvar=_env("LEADER_ELECT_RETRY_PERIOD"), metavar="DURATION", help="Between two tries.")
    ] = "2s",
    qps: Annotated[
        float,
        typer.Option(
            envvar=_env("CLOUD_QPS", "STRATOS_AWS_RATE_LIMIT_QPS"), min=0.1, help="Calls to the cloud a second."
        ),
    ] = 50.0,
    burst: Annotated[
        float,
        typer.Option(
            envvar=_env("CLOUD_BURST", "STRATOS_AWS_RATE_LIMIT_BURST"), min=1, help="So many calls may go out at once."
        ),
    ] = 100.0,
    cluster_cost_limit: Annotated[
        float | None,
        typer.Option(
            envvar=_env("CLUSTER_COST_LIMIT"), min=0, help="The most that machines of all templates may cost, in $/h."
        ),
    ] = None,
    cluster_gpu_limit: Annotated[
        int | None,
        typer.Option(
            envvar=_env("CLUSTER_GPU_LIMIT"), min=0, help="The most GPUs that machines of all templates may have."
        ),
    ] = None,
    log_level: Annotated[
        str,
        typer.Option("--log-level", "--zap-log-level", envvar=_env("LOG_LEVEL"), help="debug, info, warning or error."),
    ] = "info",
    log_format: Annotated[
        str,
        typer.Option("--log-format", "--zap-encoder", envvar=_env("LOG_FORMAT"), help="text or json."),
    ] = "text",
    log_file: Annotated[
        Path | None,
        typer.Option(envvar=_env("LOG_FILE"), help="Where JSON lines go, too, for a collector beside this process."),
    ] = None,
) -> None:
    """Run the Stratos controllers against a cluster, with machines of a real cloud."""
    from stratos.cli.controller.run import ElectionOptions, RunOptions, run_controller
    from stratos.wiring.cluster_access import ClusterWords

    election = ElectionOptions(
        namespace=leader_elect_namespace,
        identity=leader_elect_identity,
        lease_duration=leader_elect_lease_duration,
        renew_deadline=leader_elect_renew_deadline,
        retry_period=leader_elect_retry_period,
    )
    run_controller(
        RunOptions(
            kubeconfig=kubeconfig,
            cluster=ClusterWords(cluster_name, cluster_endpoint, cluster_ca, cluster_cidr),
            cloud_provider=cloud_provider,
            region=region,
            interruption_queue=interruption_queue,
            standby_node=standby_node,
            sync_period=sync_period,
            graceful_shutdown_timeout=graceful_shutdown_timeout,
            metrics_bind_address=metrics_bind_address,
            health_probe_bind_address=health_probe_bind_address,
            webhook_bind_address=webhook_bind_address,
            webhook_config_prefix=webhook_config_prefix,
            election=election if leader_elect else None,
            qps=qps,
            burst=burst,
            cluster_cost_limit=cluster_cost_limit,
            cluster_gpu_limit=cluster_gpu_limit,
            log_level=log_level,
            log_format=log_format,
            log_file=log_file,
        )
    )
