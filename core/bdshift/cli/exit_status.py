"""What the exit status of a command says."""

from __future__ import annotations

EXIT_SUSPICIOUS, EXIT_USAGE, EXIT_INPUT, EXIT_FAULT, EXIT_INTERRUPTED = 1, 2, 3, 70, 130
EXIT_BROKEN_PIPE = 141  # as a shell says of a program that SIGPIPE ends

EXIT_STATUS = {
    0: "done, whatever was found",
    EXIT_SUSPICIOUS: "found what --fail-on names, and only then",
    EXIT_USAGE: "wrong usage",
    EXIT_INPUT: "a file that cannot be read or used",
    EXIT_FAULT: "an internal error",
    EXIT_INTERRUPTED: "interrupted",
    EXIT_BROKEN_PIPE: "the output was closed before its end",
}
"""Each status in words; docs/ci.md has the same."""
