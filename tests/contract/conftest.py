from hypothesis import HealthCheck, settings

# Nothing here is judged by the time that it takes, and a run finds what the run before it found.
settings.register_profile(
    "contract", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], max_examples=40
)
settings.load_profile("contract")
