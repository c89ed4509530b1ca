"""The exit codes that are no verdict's own; those of verdicts are in `checks.model.EXIT_CODES`."""

EXIT_UNKNOWN = 3  # contract: unknown, usage or configuration error, everywhere
EXIT_BROKEN = 2  # critical: the daemon broke down; its supervisor starts it anew, as it does not after 3
