"""``bdshift completion SHELL``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from bdshift.cli.console import ConsoleJob, guarded

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Print what makes a shell complete commands and names.")
@click.argument("shell", type=click.Choice(_SHELLS))
@guarded
def command(shell: str, job: ConsoleJob) -> None:
    """Print a script for a shell: bash, zsh or fish. With it, the tab key completes commands,
    options and names such as those of methods and rules.

    \b
    bash: eval "$(bdshift completion bash)"     in ~/.bashrc
    zsh:  eval "$(bdshift completion zsh)"      in ~/.zshrc
    fish: bdshift completion fish | source      in ~/.config/fish/config.fish
    """
    job.close()
    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root().command
    click.echo(found(root, {}, "bdshift", "_BDSHIFT_COMPLETE").source())
