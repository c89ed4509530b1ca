"""The exit code that is no verdict's own; those of verdicts are in `checks.model.EXIT_CODES`."""

EXIT_UNKNOWN = 3  # contract: unknown, usage or configuration error, everywhere
