"""The command `healthctl`: its commands are imported when they are used, so that each starts fast."""

import importlib
import sys
from collections.abc import Mapping, Sequence

import click

from daemon.cli.exits import EXIT_UNKNOWN
from daemon.cli.nearest import safe, unknown
from daemon.cli.output import complain, silence_stdout
from daemon.version import __version__

PROGRAM = "healthctl"

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("daemon.cli.run:run", "Watch one Connector: the daemon."),
    "check": ("daemon.cli.check:check", "Look at every link once and say what is broken."),
    "status": ("daemon.cli.status:status", "Show what the running daemon knows."),
    "trace": ("daemon.cli.trace:trace", "Follow one Resource through every link, and conclude."),
    "explain": ("daemon.cli.explain:explain", "Explain a check, a reason, an alert or a cause."),
    "config": ("daemon.cli.config:config", "Validate, show or describe the configuration."),
    "demo": ("daemon.cli.demo:demo", "Try it: an embedded lab on loopback, and the daemon watching it."),
    "completion": ("daemon.cli.completion:completion", "Print the completion script of a shell."),
}
"""Each command: where it lives, and its line in `healthctl --help` (which imports none of them)."""


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        found = getattr(importlib.import_module(module), name)
        return found if isinstance(found, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.UsageError(unknown("command", args[0], COMMANDS), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown, usage or configuration error.",
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    """Stand beside a Twingate Connector and know, before any user does, which link is broken."""


def invoke(args: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Click's own exit code for wrong usage is 2, which everybody who watches us would read as critical.
    """
    stdout = sys.stdout
    try:
        code = cli.main(list(args), prog_name=PROGRAM, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_UNKNOWN
    except click.UsageError as error:
        _show_usage_error(error)
        return EXIT_UNKNOWN
    except click.ClickException as error:
        complain(safe(error.format_message()))
        return EXIT_UNKNOWN
    except click.Abort:
        raise KeyboardInterrupt from None
    except SystemExit:
        if sys.stdout is stdout:
            raise
        # Click met a closed pipe (`--help | head -1`): it has put a wrapper before stdout, and ends with 1, "warning".
        silence_stdout()
        return 0
    return code if isinstance(code, int) else 0


def _show_usage_error(error: click.UsageError) -> None:
    for line in error.format_message().splitlines():
        complain(safe(line))
    command = error.ctx.command_path if error.ctx else PROGRAM
    complain(f"try '{command} --help'")
