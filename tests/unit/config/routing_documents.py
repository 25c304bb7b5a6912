"""Routing configurations, good and bad, for the reader and for the schema."""

from typing import Any

RULE: dict[str, Any] = {"model_name_pattern": "resnet*"}

FULL: dict[str, Any] = {
    "$schema": "routing.schema.json",
    "default_policy": {"name": "c3", "parameters": {}},
    "routing_rules": [
        {
            "model_name_pattern": "resnet*",
            "policy": {"name": "p2c"},
            "preferred_backends": ["gpu", "neural_engine"],
            "max_latency_ms": 50,
        },
        {"model_name_pattern": "bert_?", "goal": "minimize_latency"},
        {"model_name_pattern": "*"},
    ],
    "backend_weights": {"neural_engine": 1.5, "gpu": 1.2, "cpu": 0.8, "mps": 1},
    "backend_limits": {"gpu": {"max_in_flight": 16, "max_memory_mb": 8000.5}, "cpu": {}},
}

GOOD: dict[str, Any] = {
    "nothing": {},
    "everything": FULL,
    "no rules": {"routing_rules": []},
    "no weights": {"backend_weights": {}},
    "a whole number as a fraction": {"backend_limits": {"gpu": {"max_in_flight": 4.0}}},
    "an argument of a policy": {"default_policy": {"name": "static:resnet50_gpu"}},
    "two rules for one pattern": {"routing_rules": [RULE, RULE]},
    "a tiny deadline": {"routing_rules": [{**RULE, "max_latency_ms": 1e-9}]},
}
"""Documents that both accept."""

OBJECT = "an object with $schema, default_policy, routing_rules, backend_weights, backend_limits"
KEYS = OBJECT.removeprefix("an object with ")
DEVICES = "cpu, gpu, neural_engine, mps"
GOALS = "minimize_latency, maximize_throughput, minimize_power, balanced"
PATTERN = "a pattern of model names, such as resnet*"
MILLISECONDS = "a number of milliseconds above 0 (leave it out where there is no deadline)"
WEIGHT = "a number above 0 (1 is neutral, 2 prefers twice as much)"
PREFERRED = f"a list with one or more of {DEVICES} (or leave it out)"

BAD: dict[str, tuple[Any, str]] = {
    "a list": ([], f"its top: expected {OBJECT}, found an empty list"),
    "null": (None, f"its top: expected {OBJECT}, found null"),
    "an unknown key": (
        {"routing_rule": []},
        f"its top: unknown key 'routing_rule' (did you mean 'routing_rules'?): expected one of {KEYS}",
    ),
    "an empty address of a schema": (
        {"$schema": ""},
        "$schema: expected the address of a schema, found ''",
    ),
    "a policy that is a text": (
        {"default_policy": "latency"},
        "default_policy: expected an object with name, parameters, found 'latency'",
    ),
    "a policy without a name": (
        {"default_policy": {"parameters": {}}},
        "default_policy: the key 'name' is missing, found parameters: add it",
    ),
    "an empty name of a policy": (
        {"default_policy": {"name": ""}},
        "default_policy.name: expected the name of a policy, found ''",
    ),
    "an unknown key of a policy": (
        {"default_policy": {"name": "c3", "parameter": {}}},
        "default_policy: unknown key 'parameter' (did you mean 'parameters'?): expected one of name, "
        "parameters",
    ),
    "a parameter that is a number": (
        {"default_policy": {"name": "c3", "parameters": {"speed": 0.3}}},
        'default_policy.parameters.speed: expected text, such as "0.3", found 0.3',
    ),
    "parameters that are a list": (
        {"default_policy": {"name": "c3", "parameters": ["speed"]}},
        "default_policy.parameters: expected an object, found a list",
    ),
    "rules that are an object": (
        {"routing_rules": RULE},
        "routing_rules: expected a list of rules, found an object",
    ),
    "a rule that is a text": (
        {"routing_rules": [RULE, "resnet*"]},
        "routing_rules[1]: expected an object with model_name_pattern, policy, goal, preferred_backends, "
        "max_latency_ms, found 'resnet*'",
    ),
    "a rule without a pattern": (
        {"routing_rules": [{"goal": "balanced"}]},
        "routing_rules[0]: the key 'model_name_pattern' is missing, found goal: add it",
    ),
    "an empty pattern": (
        {"routing_rules": [{"model_name_pattern": ""}]},
        f"routing_rules[0].model_name_pattern: expected {PATTERN}, found ''",
    ),
    "an unknown key of a rule": (
        {"routing_rules": [{**RULE, "max_latency": 50}]},
        "routing_rules[0]: unknown key 'max_latency' (did you mean 'max_latency_ms'?): expected one of "
        "model_name_pattern, policy, goal, preferred_backends, max_latency_ms",
    ),
    "an unknown goal": (
        {"routing_rules": [{**RULE, "goal": "minimise_latency"}]},
        f"routing_rules[0].goal: expected one of {GOALS}, found 'minimise_latency' "
        f"(did you mean 'minimize_latency'?)",
    ),
    "a policy and a goal": (
        {"routing_rules": [{**RULE, "policy": {"name": "p2c"}, "goal": "minimize_latency"}]},
        "routing_rules[0]: goal: expected a policy or a goal, found both, 'p2c' and 'minimize_latency': "
        "a goal says which policy it is, remove one",
    ),
    "preferred backends that are a text": (
        {"routing_rules": [{**RULE, "preferred_backends": "gpu"}]},
        f"routing_rules[0].preferred_backends: expected {PREFERRED}, found 'gpu'",
    ),
    "preferred backends that are none": (
        {"routing_rules": [{**RULE, "preferred_backends": []}]},
        f"routing_rules[0].preferred_backends: expected {PREFERRED}, found an empty list",
    ),
    "an unknown device": (
        {"routing_rules": [{**RULE, "preferred_backends": ["cpu", "gup"]}]},
        f"routing_rules[0].preferred_backends[1]: expected one of {DEVICES}, found 'gup' "
        f"(did you mean 'gpu'?)",
    ),
    "a negative deadline": (
        {"routing_rules": [{**RULE, "max_latency_ms": -1}]},
        f"routing_rules[0].max_latency_ms: expected {MILLISECONDS}, found -1",
    ),
    "a deadline of 0": (
        {"routing_rules": [{**RULE, "max_latency_ms": 0}]},
        f"routing_rules[0].max_latency_ms: expected {MILLISECONDS}, found 0",
    ),
    "a deadline that is a text": (
        {"routing_rules": [{**RULE, "max_latency_ms": "50"}]},
        f"routing_rules[0].max_latency_ms: expected {MILLISECONDS}, found '50'",
    ),
    "a deadline that is true": (
        {"routing_rules": [{**RULE, "max_latency_ms": True}]},
        f"routing_rules[0].max_latency_ms: expected {MILLISECONDS}, found true",
    ),
    "weights that are a list": (
        {"backend_weights": [1.5]},
        f"backend_weights: expected an object with {DEVICES}, found a list",
    ),
    "a weight of an unknown device": (
        {"backend_weights": {"gup": 1.5}},
        f"backend_weights: unknown key 'gup' (did you mean 'gpu'?): expected one of {DEVICES}",
    ),
    "a negative weight": (
        {"backend_weights": {"gpu": -0.5}},
        f"backend_weights.gpu: expected {WEIGHT}, found -0.5",
    ),
    "a weight that is null": (
        {"backend_weights": {"gpu": None}},
        f"backend_weights.gpu: expected {WEIGHT}, found null",
    ),
    "limits of an unknown device": (
        {"backend_limits": {"tpu": {}}},
        "backend_limits: unknown key 'tpu'",
    ),
    "an unknown limit": (
        {"backend_limits": {"gpu": {"max_inflight": 4}}},
        "backend_limits.gpu: unknown key 'max_inflight' (did you mean 'max_in_flight'?)",
    ),
    "a limit that is a fraction": (
        {"backend_limits": {"gpu": {"max_in_flight": 1.5}}},
        "backend_limits.gpu.max_in_flight: expected a whole number, at least 1, found 1.5",
    ),
    "a limit of 0": (
        {"backend_limits": {"gpu": {"max_in_flight": 0}}},
        "backend_limits.gpu.max_in_flight: expected a whole number, at least 1, found 0",
    ),
    "a negative memory": (
        {"backend_limits": {"gpu": {"max_memory_mb": -8}}},
        "backend_limits.gpu.max_memory_mb: expected a number of megabytes above 0, found -8",
    ),
}
"""Documents that both refuse, and what the reader says of each."""

BEYOND_THE_SCHEMA: dict[str, tuple[str, str]] = {
    "an unknown policy": (
        '{"routing_rules": [{"model_name_pattern": "a", "policy": {"name": "latncy"}}]}',
        "at routing_rules[0].policy: policy: expected one of latency, ",
    ),
    "a parameter that the policy does not take": (
        '{"default_policy": {"name": "c3", "parameters": {"speed": "1"}}}',
        "at default_policy: policy 'c3': expected no parameters, found 'speed': remove them",
    ),
    "no number": (
        '{"backend_weights": {"gpu": NaN}}',
        f"at backend_weights.gpu: expected {WEIGHT}, found NaN",
    ),
    "an endless number": (
        '{"backend_weights": {"gpu": Infinity}}',
        f"at backend_weights.gpu: expected {WEIGHT}, found Infinity",
    ),
    "a number that is too large": (
        '{"routing_rules": [{"model_name_pattern": "a", "max_latency_ms": 1e999}]}',
        f"at routing_rules[0].max_latency_ms: expected {MILLISECONDS}, found Infinity",
    ),
    "a key twice": (
        '{"backend_weights": {"gpu": 1, "gpu": 2}}',
        "at backend_weights: expected every key once, found 'gpu' twice: remove one",
    ),
    "the whole of it twice": (
        '{"routing_rules": [], "routing_rules": []}',
        "at its top: expected every key once, found 'routing_rules' twice: remove one",
    ),
}
"""Texts that only the reader refuses, and what it says of each."""
