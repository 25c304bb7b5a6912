from hypothesis import HealthCheck, Phase, settings

# For `make mutants`: whether a property fails, not its simplest counterexample; the same in every run.
settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    max_examples=40,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
