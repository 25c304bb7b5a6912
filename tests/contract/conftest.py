from hypothesis import HealthCheck, settings

# Examples have no time limit, and every run uses the same ones.
settings.register_profile(
    "contract", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], max_examples=40
)
settings.load_profile("contract")
