"""For all tests: Hypothesis does not judge how fast a machine is, which may be busy with something else."""

from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
