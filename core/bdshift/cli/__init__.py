"""The ``bdshift`` command. One file per command; each imports what it runs only when it runs.

It uses click, because users know it from other tools in the field (Ray, MLflow, Hugging Face), and
its usage errors, help and completion need no code here; and tqdm for the same reason.
"""

from __future__ import annotations

import click

from bdshift import __version__
from bdshift.allocation import keep_freed_memory
from bdshift.cli import (
    bench,
    compare,
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


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96})
@click.version_option(__version__, prog_name="bdshift")
def main() -> None:
    """Tell whether an image classifier carries a backdoor, and show which neurons carry it.

    Exit status: 0 done; 1 only with --fail-on; 2 wrong usage; 3 a file that cannot be read or used;
    70 an internal error; 130 interrupted; 141 nobody reads the output.
    """
    keep_freed_memory()


for module in (
    scan, fleet, recover, neurons, images, purify, compare, diff, vector, disentanglement, export,
    report, note, info, settings, schema, demo, lab, bench,
):  # fmt: skip
    main.add_command(module.command)
