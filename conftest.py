"""What all rooms' tests have in common."""

from hypothesis import settings

# How long an example takes is the machine's matter: a busy one failed tests by Hypothesis' 200 ms.
settings.register_profile("dataflix", settings.default, deadline=None)
settings.load_profile("dataflix")
