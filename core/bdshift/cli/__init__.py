"""The ``bdshift`` command. One file per command; each imports what it runs only when it runs.

It uses click, because users know it from other tools in the field (Ray, MLflow, Hugging Face), and
its usage errors, help and completion need no code here; and tqdm for the same reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bdshift import __version__
from bdshift.allocation import keep_freed_memory
from bdshift.cli import (
    bench,
    compare,
    completion,
    demo,
    diff,
    disentanglement,
    export,
    fleet,
    images,
    info,
    lab,
    neurons,
    note,
    purify,
    recover,
    report,
    scan,
    schema,
    settings,
    vector,
)
from bdshift.cli.color import heed_no_color
from bdshift.cli.config import defaults_from, users_file
from bdshift.cli.console import end_with
from bdshift.cli.exit_status import EXIT_STATUS
from bdshift.cli.paths import PATH
from bdshift.errors import InputError, UsageError
from bdshift.output_encoding import print_what_there_is


class Commands(click.Group):
    """All of them."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """See `click.Command`; whatever it prints can be printed."""
        print_what_there_is()
        return super().main(*args, **kwargs)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
    epilog=f"Exit status: {'; '.join(f'{code} {says}' for code, says in EXIT_STATUS.items())}.",
)
@click.option("--config", envvar="BDSHIFT_CONFIG", type=PATH, help="Defaults of options, as TOML; "
              "default: config.toml in your configuration folder.")  # fmt: skip
@click.version_option(__version__, prog_name="bdshift")
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Tell whether an image classifier carries a backdoor, and show which neurons carry it."""
    heed_no_color(context)
    path = config or users_file()
    if config is not None or path.is_file():
        try:
            context.default_map = defaults_from(path, main)
        except (InputError, UsageError) as error:
            end_with(error)
    keep_freed_memory()


for module in (
    scan, fleet, recover, neurons, images, purify, compare, diff, vector, disentanglement, export,
    report, note, info, settings, schema, completion, demo, lab, bench,
):  # fmt: skip
    main.add_command(module.command)
