"""`./stop.sh`: stops every service, and deletes the data if asked to."""

import shutil
import sys

from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.short_path import remove_short_home
from dataflix_stack.config.state import State
from dataflix_stack.docker import down as docker_down
from dataflix_stack.errors import StackError
from dataflix_stack.progress import say, step
from dataflix_stack.services import leftovers
from dataflix_stack.services.supervisor import Supervisor


def stop(*, purge: bool, assume_yes: bool) -> None:
    """Stop all services.

    Args:
        purge: delete the state folder too.
        assume_yes: do not ask before that.

    Raises:
        StackError: a service did not end, the purge was not confirmed, or Dataflix did not make the folder.
    """
    if not stack_settings.env_file_path().exists():
        say("Nothing was started from this folder.")
        return
    settings = stack_settings.load(create=False)
    if purge and not assume_yes:
        _confirm(settings)
    was_running = docker_down.down(settings, purge=purge)
    supervisor = Supervisor(settings)
    if supervisor.process() is not None:
        with step("all services stopped"):
            supervisor.stop()
        was_running = True
    if leftovers.find(settings.home):
        with step("processes that were left behind ended"):
            names = leftovers.end(settings.home)
        say(f"  they belonged to {', '.join(names)}")
        was_running = True
    if not was_running:
        say("No service is running.")
    _clear_runtime(settings)
    if purge:
        _delete(settings)


def _clear_runtime(settings: Settings) -> None:
    state = State.read(settings)
    if state.runtime is not None:
        state.runtime = None
        state.write(settings)


def _confirm(settings: Settings) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise StackError("--purge deletes all data and needs a terminal to be confirmed, or --yes.")
    try:
        answer = input(f"Delete all data and logs in {settings.home}? Type 'yes': ")
    except (EOFError, UnicodeDecodeError):
        answer = ""
    if answer.strip().lower() != "yes":
        raise StackError("Nothing was deleted and nothing was stopped.")


def _delete(settings: Settings) -> None:
    if not settings.home.exists():
        say("There is no data to delete.")
        return
    if not stack_settings.is_dataflix_home(settings.home):
        raise StackError(f"{settings.home} was not made by Dataflix; it is not deleted.")
    with step("data and logs deleted"):
        shutil.rmtree(settings.home)
        remove_short_home(settings.home)
