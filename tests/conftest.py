"""Hypothesis profiles: `ci` repeats itself, `dev` is the default, `explore` looks for what the others have not met.

Choose one with `pytest --hypothesis-profile=explore`. No test has a deadline: the first call of a shape compiles.
"""

import os

from hypothesis import HealthCheck, settings

# A function-scoped fixture is no issue here, a slow first example is a compilation
settings.register_profile("dev", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, database=None, print_blob=True)
settings.register_profile("explore", settings.get_profile("dev"), max_examples=5000)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
