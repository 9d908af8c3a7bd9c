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


@main.command()
@click.option(
    "-f", "--filename", "filenames", multiple=True, required=True, metavar="FILE|DIR|-",
    help="Manifests to run: a file, a directory of them, or - for standard input.",
)  # fmt: skip
@click.option("--timeout", metavar="DURATION", help="Give up after this long: 90s, 10m, 1h30m.")
@click.option("--runtime", type=RUNTIMES, default="auto", show_default=True)
@click.option(
    "--data-dir", type=click.Path(file_okay=False),
    help="Keep state and logs here; without it nothing is left behind.",
)  # fmt: skip
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print the Jobs at the end.")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-v", "--verbose", count=True, help="Say more: -v decisions, -vv everything.")
def run(
    filenames: tuple[str, ...], timeout: str | None, runtime: str, data_dir: str | None,
    output: str | None, namespace: str, verbose: int,
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
            data_dir=data_dir,
            output=output,
            namespace=namespace,
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
@click.option("--node-name", default="", help="The node's name. [default: the host's name]")
@click.option("--no-agent", is_flag=True, help="Run no pods here.")
@click.option("--no-controllers", is_flag=True, help="Only store what clients write.")
@click.option("--no-scheduler", is_flag=True, help="Leave pods unassigned.")
@click.option("-v", "--verbose", count=True, help="Say more: -v decisions, -vv everything.")
def up(
    data_dir: str | None, address: str, port: int, kubeconfig: str | None, store: str,
    runtime: str, node_name: str, no_agent: bool, no_controllers: bool, no_scheduler: bool,
    verbose: int,
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
            node_name=node_name,
            agent=not no_agent,
            controllers=not no_controllers,
            scheduler=not no_scheduler,
            verbose=verbose,
        )
    )
