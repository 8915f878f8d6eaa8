"""dataflix model, health and completion."""

import click
from click.shell_completion import get_completion_class

from dataflix_cli import views
from dataflix_cli.commands.options import json_option
from dataflix_cli.session import Session, pass_session

SHELLS = ("bash", "zsh", "fish")


@click.command()
@json_option
@pass_session
def model(session: Session) -> None:
    """Show the version, age and metrics of the served model."""
    session.show(views.model, session.api.get("/model"))


@click.command()
@json_option
@pass_session
def health(session: Session) -> None:
    """Check whether the API is ready; exit code 4 if not."""
    session.show(views.health, session.api.get("/readyz"))


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    Bash: eval "$(dataflix completion bash)". Zsh: the same with zsh. Fish: dataflix completion fish | source.
    """
    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise click.UsageError(f"click has no completion for {shell}.")
    complete = completion_class(context.find_root().command, {}, "dataflix", "_DATAFLIX_COMPLETE")
    click.echo(complete.source())
