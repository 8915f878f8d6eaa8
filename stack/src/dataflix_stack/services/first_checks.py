"""What `./run.sh` checks before it starts anything; all that is wrong is told at once."""

from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.errors import Problems
from dataflix_stack.services import data
from dataflix_stack.services.data import Chosen
from dataflix_stack.services.preparation import check_clickhouse_folder
from dataflix_stack.services.startup import check_ports_are_free
from dataflix_stack.services.supervisor import Supervisor


def checked_settings(chosen: Chosen) -> Settings:
    """Check data, `.env` and the state folder, which is made if it is missing; return the settings.

    Ports are checked under the lock of the start. Only if something else is wrong, they are checked here, so
    that one message has all of it.

    Args:
        chosen: which data.

    Raises:
        StackError: something is wrong; the message has everything that is.
    """
    problems = Problems()
    settings = None
    with problems.collected():
        data.check(chosen)
    if problems and not stack_settings.env_file_path().exists():
        # A start that is refused leaves no file behind.
        problems.raise_all()
    with problems.collected():
        settings = stack_settings.load(create=True)
    if settings is not None:
        if not problems:
            with problems.collected():
                settings = data.settle(settings, chosen, State.read(settings))
        with problems.collected():
            check_clickhouse_folder(settings.home)
            stack_settings.prepare_home(settings.home)
        if problems and Supervisor(settings).process() is None:
            with problems.collected():
                check_ports_are_free(settings)
    problems.raise_all()
    assert settings is not None  # noqa: S101  without settings there was a problem
    return settings
