"""`healthctl completion SHELL`: the script that lets a shell complete commands and options."""

import click

from daemon.cli.output import emit

SHELLS = ("bash", "zsh", "fish")


@click.command(epilog='For this session: eval "$(healthctl completion bash)"')
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the completion script of SHELL (bash, zsh or fish)."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only this command needs it

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}", ctx)
    program = "healthctl"
    emit(found(ctx.find_root().command, {}, program, "_HEALTHCTL_COMPLETE").source())
    return 0
