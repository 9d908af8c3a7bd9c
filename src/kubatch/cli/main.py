"""The entry point: `kubatch COMMAND`. Each command loads what it needs when it is called."""

from __future__ import annotations

import sys

import click

from kubatch import __version__

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_TIMEOUT = 124
EXIT_INTERRUPTED = 130


class Refused(click.ClickException):
    """Something the person can mend: one line that says what is wrong and what to do."""

    exit_code = EXIT_USAGE

    def show(self, file: object = None) -> None:
        click.echo(f"kubatch: {self.message}", err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kubatch")
def main() -> None:
    """The Kubernetes batch API without a cluster."""


RUNTIMES = click.Choice(["auto", "process", "sandbox"])
NETWORK = click.option(
    "--network", type=click.Choice(["host", "pod"]), default="host", show_default=True,
    help="Whether pods have the host's network, or each an address of its own (as root).",
)  # fmt: skip
EVICTION_HARD = (
    "Below what a pod is ended to save the others, as SIGNAL<QUANTITY or SIGNAL<SHARE%, separated "
    "by commas; none: never. Signals: memory.available, nodefs.available, nodefs.inodesFree, "
    "pid.available. [default: memory.available<100Mi,nodefs.available<100Mi,nodefs.inodesFree<1%]"
)
IMAGE_MAP = click.option(
    "--image-map", type=click.Path(dir_okay=False),
    help="A file that says what images of yours mean, in the form of kubatch/runtime/images.yaml.",
)  # fmt: skip


@main.command()
@click.option(
    "-f", "--filename", "filenames", multiple=True, required=True, metavar="FILE|DIR|-",
    help="Manifests to run: a file, a directory of them, or - for standard input.",
)  # fmt: skip
@click.option("--timeout", metavar="DURATION", help="Give up after this long: 90s, 10m, 1h30m.")
@click.option("--runtime", type=RUNTIMES, default="auto", show_default=True)
@NETWORK
@click.option(
    "--data-dir", type=click.Path(file_okay=False),
    help="Keep state and logs here; without it nothing is left behind.",
)  # fmt: skip
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print the Jobs at the end.")
@click.option("-n", "--namespace", default="default", show_default=True)
@IMAGE_MAP
@click.option("-v", "--verbose", count=True, help="Say more: -v decisions, -vv everything.")
def run(
    filenames: tuple[str, ...], timeout: str | None, runtime: str, network: str,
    data_dir: str | None,
    output: str | None, namespace: str, image_map: str | None, verbose: int,
) -> None:  # fmt: skip
    """Run Jobs here and now, follow them, and exit with their result.

    Exit codes: 0 all Jobs complete, 1 a Job failed, 2 bad usage or an invalid manifest,
    124 timeout, 130 interrupted.
    """
    from kubatch.cli import run as command

    sys.exit(
        command.run(
            filenames,
            timeout=timeout,
            runtime=runtime,
            network=network,
            data_dir=data_dir,
            output=output,
            namespace=namespace,
            image_map=image_map,
            verbose=verbose,
        )
    )


@main.command()
@click.option(
    "--data-dir", type=click.Path(file_okay=False),
    help="State, logs, certificates, kubeconfig. [default: ~/.local/state/kubatch]",
)  # fmt: skip
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=6443, show_default=True, help="0 picks a free port.")
@click.option(
    "--kubeconfig", type=click.Path(dir_okay=False),
    help="Where to write the kubeconfig. [default: DATA_DIR/kubeconfig]",
)  # fmt: skip
@click.option("--store", default="sqlite", show_default=True, metavar="sqlite|memory")
@click.option("--runtime", type=RUNTIMES, default="auto", show_default=True)
@NETWORK
@click.option("--node-name", default="", help="The node's name. [default: the host's name]")
@click.option("--no-agent", is_flag=True, help="Run no pods here.")
@click.option("--no-controllers", is_flag=True, help="Only store what clients write.")
@click.option("--no-scheduler", is_flag=True, help="Leave pods unassigned.")
@click.option("--no-proxy", is_flag=True, help="Do not serve the addresses of Services.")
@click.option(
    "--max-pods", type=click.IntRange(min=1), default=110, show_default=True,
    help="How many pods run here at once; more wait.",
)  # fmt: skip
@click.option("--eviction-hard", metavar="LIST", help=EVICTION_HARD)
@IMAGE_MAP
@click.option(
    "--audit-log", type=click.Path(dir_okay=False),
    help="Write one line of JSON for each request to this file.",
)  # fmt: skip
@click.option(
    "--audit-policy", type=click.Path(dir_okay=False),
    help="What the audit log tells: an audit.k8s.io/v1 Policy. [default: Metadata of all]",
)  # fmt: skip
@click.option("-v", "--verbose", count=True, help="Say more: -v decisions, -vv everything.")
def up(
    data_dir: str | None, address: str, port: int, kubeconfig: str | None, store: str,
    runtime: str, network: str, node_name: str, no_agent: bool, no_controllers: bool,
    no_scheduler: bool, no_proxy: bool, max_pods: int, eviction_hard: str | None,
    image_map: str | None, audit_log: str | None, audit_policy: str | None, verbose: int,
) -> None:  # fmt: skip
    """Serve the Kubernetes batch API until SIGTERM or Ctrl-C.

    SIGTERM leaves running pods to the next server on the same data directory; Ctrl-C ends them.
    """
    from kubatch.cli import up as command

    sys.exit(
        command.up(
            data_dir=data_dir,
            address=address,
            port=port,
            kubeconfig=kubeconfig,
            store=store,
            runtime=runtime,
            network=network,
            node_name=node_name,
            agent=not no_agent,
            controllers=not no_controllers,
            scheduler=not no_scheduler,
            proxy=not no_proxy,
            max_pods=max_pods,
            eviction_hard=eviction_hard,
            image_map=image_map,
            audit_log=audit_log,
            audit_policy=audit_policy,
            verbose=verbose,
        )
    )


@main.command()
@click.option(
    "--kubeconfig", type=click.Path(dir_okay=False),
    help="The cluster to work on. [default: $KUBECONFIG, ~/.kube/config, or the pod's own account]",
)  # fmt: skip
@click.option("--context", default="", help="A context of the kubeconfig.")
@click.option(
    "--all", "everything", is_flag=True,
    help="Every controller, and all Jobs, for a server that has no controllers of its own. "
    "Otherwise only Jobs whose spec.managedBy is kubatch.dev/job-controller.",
)  # fmt: skip
@click.option("--only", default="", metavar="NAME,...", help="Only these controllers.")
@click.option(
    "--leader-elect/--no-leader-elect", default=True, show_default=True,
    help="Work only while holding a lease, so that several can stand by.",
)  # fmt: skip
@click.option("--leader-elect-lease-duration", default="15s", show_default=True)
@click.option("--leader-elect-renew-deadline", default="10s", show_default=True)
@click.option("--leader-elect-retry-period", default="2s", show_default=True)
@click.option("--leader-elect-resource-name", default="kubatch-controllers", show_default=True)
@click.option("--leader-elect-resource-namespace", default="kube-system", show_default=True)
@click.option("-v", "--verbose", count=True, help="Say more: -v decisions, -vv everything.")
def controllers(
    kubeconfig: str | None, context: str, everything: bool, only: str, leader_elect: bool,
    leader_elect_lease_duration: str, leader_elect_renew_deadline: str,
    leader_elect_retry_period: str, leader_elect_resource_name: str,
    leader_elect_resource_namespace: str, verbose: int,
) -> None:  # fmt: skip
    """Run controllers alone, against another kubatch or a real Kubernetes.

    Stops with 0 on SIGTERM, 130 on Ctrl-C, 1 when the lease is lost.
    """
    from kubatch.cli import controllers as command

    lease = command.LeaseOptions(
        leader_elect_resource_name,
        leader_elect_resource_namespace,
        leader_elect_lease_duration,
        leader_elect_renew_deadline,
        leader_elect_retry_period,
    )
    sys.exit(
        command.controllers(
            kubeconfig=kubeconfig,
            context=context,
            everything=everything,
            only=only,
            lease=lease if leader_elect else None,
            verbose=verbose,
        )
    )


@main.command()
@click.argument("what", metavar="KIND/NAME")
@click.option("-n", "--namespace", default="", help="[default: the kubeconfig's]")
@click.option("--kubeconfig", type=click.Path(dir_okay=False), help="The server to ask.")
@click.option("--context", default="", help="A context of the kubeconfig.")
@click.option(
    "--data-dir", type=click.Path(file_okay=False), help="Ask the server that runs on this."
)
@click.option("-v", "--verbose", count=True, help="Say more.")
def explain(
    what: str, namespace: str, kubeconfig: str | None, context: str, data_dir: str | None,
    verbose: int,
) -> None:  # fmt: skip
    """Tell why a Job or another object is where it is, and what it waits for.

    For example: kubatch explain job/import
    """
    from kubatch.cli import explain as command

    sys.exit(
        command.explain(
            what,
            namespace=namespace,
            kubeconfig=kubeconfig,
            context=context,
            data_dir=data_dir,
            verbose=verbose,
        )
    )


@main.command()
@click.argument("what", metavar="KIND/NAME")
@click.option("-n", "--namespace", default="", help="[default: the kubeconfig's]")
@click.option("--kubeconfig", type=click.Path(dir_okay=False), help="The server to ask.")
@click.option("--context", default="", help="A context of the kubeconfig.")
@click.option(
    "--data-dir", type=click.Path(file_okay=False), help="Ask the server that runs on this."
)
@click.option("-v", "--verbose", count=True, help="Say more.")
def tree(
    what: str, namespace: str, kubeconfig: str | None, context: str, data_dir: str | None,
    verbose: int,
) -> None:  # fmt: skip
    """Show what an object owns: a CronJob's Jobs, their pods, and how they are.

    For example: kubatch tree cronjob/report
    """
    from kubatch.cli import tree as command

    sys.exit(
        command.tree(
            what,
            namespace=namespace,
            kubeconfig=kubeconfig,
            context=context,
            data_dir=data_dir,
            verbose=verbose,
        )
    )


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option(
    "--data-dir", type=click.Path(file_okay=False),
    help="What to save; its server may be running. [default: ~/.local/state/kubatch]",
)  # fmt: skip
def backup(file: str, data_dir: str | None) -> None:
    """Save all objects, keys and tokens of a server in FILE (- for standard output).

    The state is that of one moment, and is read back before it counts as saved.
    """
    from kubatch.cli import backup as command

    sys.exit(command.backup(file, data_dir=data_dir))


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option(
    "--data-dir", type=click.Path(file_okay=False),
    help="A new directory. [default: ~/.local/state/kubatch]",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Only read FILE to its end and say whether it is good.")
def restore(file: str, data_dir: str | None, check: bool) -> None:
    """Make a data directory of what `kubatch backup` saved in FILE (- for standard input).

    Clients that watched the old server list anew; pods that ran there count as lost.
    """
    from kubatch.cli import backup as command

    sys.exit(command.restore(file, data_dir=data_dir, check=check))


@main.command()
@click.option("--seeds", default=100, show_default=True, help="How many.")
@click.option("--start", default=0, show_default=True, help="The first.")
@click.option("--workers", default=0, help="Processes at once. [default: one per processor]")
@click.option("-v", "--verbose", is_flag=True, help="Tell everything that happens.")
def simulate(seeds: int, start: int, workers: int, verbose: bool) -> None:
    """Run the parts of a cluster against each other, with faults, on virtual time.

    Each seed draws Jobs, users and misfortunes of its own; the same seed always runs the same.
    Exits with 1 when a seed shows something that must not happen.
    """
    from kubatch.cli import simulate as command

    sys.exit(command.simulate(seeds=seeds, start=start, workers=workers, verbose=verbose))
