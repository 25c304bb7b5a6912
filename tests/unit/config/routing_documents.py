"""Routing configurations, good and bad, for the reader and for the schema."""

import json
from typing import Any

from router_backend.config.schema import RoutingRule
from router_backend.core.policies.registry import POLICIES
from router_backend.typed_load import fields_of

KEYS_OF_A_RULE = ", ".join(fields_of(RoutingRule))
NAMES_OF_POLICIES = ", ".join(POLICIES)

RULE: dict[str, Any] = {"model_name_pattern": "resnet*"}

EXPERIMENT: dict[str, Any] = {
    "experiment_id": "new",
    "control": {"name": "p2c"},
    "treatment": {"name": "c3"},
    "fraction": 0.1,
}

FULL: dict[str, Any] = {
    "$schema": "routing.schema.json",
    "default_policy": {"name": "c3", "parameters": {}},
    "routing_rules": [
        {
            "model_name_pattern": "resnet*",
            "policy": {"name": "p2c"},
            "preferred_backends": ["gpu", "neural_engine"],
            "max_latency_ms": 50,
            "refuse_late": True,
        },
        {"model_name_pattern": "bert_?", "goal": "minimize_latency", "refuse_late": False},
        {"model_name_pattern": "*"},
    ],
    "backend_weights": {"neural_engine": 1.5, "gpu": 1.2, "cpu": 0.8, "mps": 1},
    "backend_limits": {"gpu": {"max_in_flight": 16, "max_memory_mb": 8000.5}, "cpu": {}},
    "profiling": False,
    "experiments": [
        {
            **EXPERIMENT,
            "model_name_pattern": "bert*",
            "assign_by": "request",
            "unit_range": [0, 0.5],
            "rollout": [{"after_s": 3600, "fraction": 0.2}, {"after_s": 7200, "fraction": 1}],
            "guardrails": {"error_ratio": 2, "slow_ratio": None, "mean_ratio": 3, "false_stop_rate": 0.05},
        },
        {
            **EXPERIMENT,
            "experiment_id": "by model",
            "model_name_pattern": "resnet*",
            "assign_by": "model",
            "guardrails": None,
            "unit_range": [0.5, 1],
        },
    ],
}

GOOD: dict[str, Any] = {
    "nothing": {},
    "everything": FULL,
    "no rules": {"routing_rules": []},
    "no weights": {"backend_weights": {}},
    "a whole number as a fraction": {"backend_limits": {"gpu": {"max_in_flight": 4.0}}},
    "an argument of a policy": {"default_policy": {"name": "static:resnet50_gpu"}},
    "two rules for one pattern": {"routing_rules": [RULE, RULE]},
    "an experiment that says no more than it must": {"experiments": [EXPERIMENT]},
    "an experiment for nobody": {"experiments": [{**EXPERIMENT, "fraction": 0}]},
    "an experiment without guardrails": {"experiments": [{**EXPERIMENT, "guardrails": None}]},
    "guardrails by default": {"experiments": [{**EXPERIMENT, "guardrails": {}}]},
    "a tiny deadline": {"routing_rules": [{**RULE, "max_latency_ms": 1e-9}]},
}
"""Documents that both accept."""

OBJECT = (
    "an object with $schema, default_policy, routing_rules, backend_weights, backend_limits, profiling, "
    "experiments"
)
KEYS = OBJECT.removeprefix("an object with ")
DEVICES = "cpu, gpu, neural_engine, mps"
GOALS = "minimize_latency, maximize_throughput, minimize_power, balanced"
PATTERN = "a pattern of model names, such as resnet*"
MILLISECONDS = "a number of milliseconds above 0 (leave it out where there is no deadline)"
WEIGHT = "a number above 0 (1 is neutral, 2 prefers twice as much)"
SHARE = "a number from 0 to 1 (0.1 is 10 %)"
PREFERRED = f"a list with one or more of {DEVICES} (or leave it out)"

BAD: dict[str, tuple[Any, str]] = {
    "a list": (
        [],
        (
            ": expected an object with default_policy, routing_rules, backend_weights, "
            "backend_limits, profiling, experiments, $schema, found an empty list"
        ),
    ),
    "null": (
        None,
        (
            ": expected an object with default_policy, routing_rules, backend_weights, "
            "backend_limits, profiling, experiments, $schema, found null"
        ),
    ),
    "an unknown key": (
        {"routing_rule": []},
        (
            ": expected a known key, found 'routing_rule' (did you mean 'routing_rules'?); use "
            "one of default_policy, routing_rules, backend_weights, backend_limits, profiling, "
            "experiments, $schema"
        ),
    ),
    "an empty address of a schema": (
        {"$schema": ""},
        ": $schema: expected the address of a schema, found ''",
    ),
    "a policy that is a text": (
        {"default_policy": "latency"},
        ": default_policy: expected an object with name, parameters, found 'latency'",
    ),
    "a policy without a name": (
        {"default_policy": {"parameters": {}}},
        (": default_policy: expected the key 'name' (the name of a policy), found only parameters; add it"),
    ),
    "an empty name of a policy": (
        {"default_policy": {"name": ""}},
        ": default_policy.name: expected the name of a policy, found ''",
    ),
    "an unknown key of a policy": (
        {"default_policy": {"name": "c3", "parameter": {}}},
        (
            ": default_policy: expected a known key, found 'parameter' (did you mean "
            "'parameters'?); use one of name, parameters"
        ),
    ),
    "a parameter that is a number": (
        {"default_policy": {"name": "c3", "parameters": {"speed": 0.3}}},
        ': default_policy.parameters.speed: expected text, such as "0.3", found 0.3',
    ),
    "parameters that are a list": (
        {"default_policy": {"name": "c3", "parameters": ["speed"]}},
        ": default_policy.parameters: expected an object, found a list",
    ),
    "rules that are an object": (
        {"routing_rules": RULE},
        f": routing_rules: expected a list of items, each an object with {KEYS_OF_A_RULE}, found an object",
    ),
    "a rule that is a text": (
        {"routing_rules": [RULE, "resnet*"]},
        f": routing_rules[1]: expected an object with {KEYS_OF_A_RULE}, found 'resnet*'",
    ),
    "a rule without a pattern": (
        {"routing_rules": [{"goal": "balanced"}]},
        (
            ": routing_rules[0]: expected the key 'model_name_pattern' (a pattern of model names, "
            "such as resnet*), found only goal; add it"
        ),
    ),
    "an empty pattern": (
        {"routing_rules": [{"model_name_pattern": ""}]},
        (
            ": routing_rules[0].model_name_pattern: expected a pattern of model names, such as "
            "resnet*, found ''"
        ),
    ),
    "an unknown key of a rule": (
        {"routing_rules": [{**RULE, "max_latency": 50}]},
        (
            f": routing_rules[0]: expected a known key, found 'max_latency' (did you mean "
            f"'max_latency_ms'?); use one of {KEYS_OF_A_RULE}"
        ),
    ),
    "an unknown goal": (
        {"routing_rules": [{**RULE, "goal": "minimise_latency"}]},
        (
            ": routing_rules[0].goal: expected one of minimize_latency, maximize_throughput, "
            "minimize_power, balanced, found 'minimise_latency' (did you mean 'minimize_latency'?)"
        ),
    ),
    "a policy and a goal": (
        {"routing_rules": [{**RULE, "policy": {"name": "p2c"}, "goal": "minimize_latency"}]},
        (
            ": routing_rules[0].goal: expected a policy or a goal, found both, 'p2c' and "
            "'minimize_latency'; remove one"
        ),
    ),
    "preferred backends that are a text": (
        {"routing_rules": [{**RULE, "preferred_backends": "gpu"}]},
        (
            ": routing_rules[0].preferred_backends: expected a list of one or more items, each one of"
            " cpu, gpu, neural_engine, mps, found 'gpu'"
        ),
    ),
    "preferred backends that are none": (
        {"routing_rules": [{**RULE, "preferred_backends": []}]},
        (
            ": routing_rules[0].preferred_backends: expected a list of one or more items, each one of"
            " cpu, gpu, neural_engine, mps, found an empty list"
        ),
    ),
    "an unknown device": (
        {"routing_rules": [{**RULE, "preferred_backends": ["cpu", "gup"]}]},
        (
            ": routing_rules[0].preferred_backends[1]: expected one of cpu, gpu, neural_engine, mps, "
            "found 'gup' (did you mean 'gpu'?)"
        ),
    ),
    "a negative deadline": (
        {"routing_rules": [{**RULE, "max_latency_ms": -1}]},
        (
            ": routing_rules[0].max_latency_ms: expected a number of milliseconds above 0, found -1; "
            "leave it out for no deadline"
        ),
    ),
    "a deadline of 0": (
        {"routing_rules": [{**RULE, "max_latency_ms": 0}]},
        (
            ": routing_rules[0].max_latency_ms: expected a number of milliseconds above 0, found 0; "
            "leave it out for no deadline"
        ),
    ),
    "a deadline that is a text": (
        {"routing_rules": [{**RULE, "max_latency_ms": "50"}]},
        (
            ": routing_rules[0].max_latency_ms: expected a number of milliseconds above 0, found "
            "'50'; leave it out for no deadline"
        ),
    ),
    "a deadline that is true": (
        {"routing_rules": [{**RULE, "max_latency_ms": True}]},
        (
            ": routing_rules[0].max_latency_ms: expected a number of milliseconds above 0, found "
            "true; leave it out for no deadline"
        ),
    ),
    "a refusal that is a text": (
        {"routing_rules": [{**RULE, "refuse_late": "true"}]},
        ": routing_rules[0].refuse_late: expected true or false, found 'true'",
    ),
    "weights that are a list": (
        {"backend_weights": [1.5]},
        ": backend_weights: expected an object with cpu, gpu, neural_engine, mps, found a list",
    ),
    "a weight of an unknown device": (
        {"backend_weights": {"gup": 1.5}},
        (
            ": backend_weights.gup: expected one of cpu, gpu, neural_engine, mps, found 'gup' (did "
            "you mean 'gpu'?)"
        ),
    ),
    "a negative weight": (
        {"backend_weights": {"gpu": -0.5}},
        (
            ": backend_weights.gpu: expected a number above 0, found -0.5; 1 is neutral, 2 prefers "
            "the device twice as much"
        ),
    ),
    "a weight that is null": (
        {"backend_weights": {"gpu": None}},
        (
            ": backend_weights.gpu: expected a number above 0, found null; 1 is neutral, 2 prefers "
            "the device twice as much"
        ),
    ),
    "limits of an unknown device": (
        {"backend_limits": {"tpu": {}}},
        (
            ": backend_limits.tpu: expected one of cpu, gpu, neural_engine, mps, found 'tpu' (did you"
            " mean 'gpu'?)"
        ),
    ),
    "an unknown limit": (
        {"backend_limits": {"gpu": {"max_inflight": 4}}},
        (
            ": backend_limits.gpu: expected a known key, found 'max_inflight' (did you mean "
            "'max_in_flight'?); use one of max_in_flight, max_memory_mb"
        ),
    ),
    "a limit that is a fraction": (
        {"backend_limits": {"gpu": {"max_in_flight": 1.5}}},
        ": backend_limits.gpu.max_in_flight: expected a whole number of at least 1, found 1.5",
    ),
    "a limit of 0": (
        {"backend_limits": {"gpu": {"max_in_flight": 0}}},
        ": backend_limits.gpu.max_in_flight: expected a whole number of at least 1, found 0",
    ),
    "a negative memory": (
        {"backend_limits": {"gpu": {"max_memory_mb": -8}}},
        ": backend_limits.gpu.max_memory_mb: expected a number of megabytes above 0, found -8",
    ),
    "profiling that is a text": (
        {"profiling": "true"},
        ": profiling: expected true or false, found 'true'",
    ),
    "an experiment without a treatment": (
        {"experiments": [{key: EXPERIMENT[key] for key in ("experiment_id", "control", "fraction")}]},
        (
            ": experiments[0]: expected the key 'treatment' (an object with name, parameters), found "
            "only experiment_id, control, fraction; add it"
        ),
    ),
    "an unknown key of an experiment": (
        {"experiments": [{**EXPERIMENT, "fractions": 0.1}]},
        (
            ": experiments[0]: expected a known key, found 'fractions' (did you mean "
            "'fraction'?); use one of experiment_id, control, treatment, fraction, "
            "model_name_pattern, assign_by, unit_range, rollout, guardrails"
        ),
    ),
    "a fraction above 1": (
        {"experiments": [{**EXPERIMENT, "fraction": 10}]},
        ": experiments[0].fraction: expected a number from 0 to 1, found 10; 0.1 is 10 %",
    ),
    "a negative fraction": (
        {"experiments": [{**EXPERIMENT, "fraction": -0.1}]},
        ": experiments[0].fraction: expected a number from 0 to 1, found -0.1; 0.1 is 10 %",
    ),
    "an experiment without a name": (
        {"experiments": [{**EXPERIMENT, "experiment_id": ""}]},
        ": experiments[0].experiment_id: expected the name of an experiment, found ''",
    ),
    "an unknown assignment": (
        {"experiments": [{**EXPERIMENT, "assign_by": "requests"}]},
        (
            ": experiments[0].assign_by: expected one of request, model, found 'requests' (did you "
            "mean 'request'?)"
        ),
    ),
    "a range of one number": (
        {"experiments": [{**EXPERIMENT, "unit_range": [0.5]}]},
        (": experiments[0].unit_range: expected a list of 2 items, each a number from 0 to 1, found a list"),
    ),
    "a range beyond 1": (
        {"experiments": [{**EXPERIMENT, "unit_range": [0.5, 2]}]},
        ": experiments[0].unit_range[1]: expected a number from 0 to 1, found 2; 0.1 is 10 %",
    ),
    "a step without a time": (
        {"experiments": [{**EXPERIMENT, "rollout": [{"fraction": 0.2}]}]},
        (
            ": experiments[0].rollout[0]: expected the key 'after_s' (a number of seconds above 0), "
            "found only fraction; add it"
        ),
    ),
    "a step at the start": (
        {"experiments": [{**EXPERIMENT, "rollout": [{"after_s": 0, "fraction": 0.2}]}]},
        ": experiments[0].rollout[0].after_s: expected a number of seconds above 0, found 0",
    ),
    "a ratio below 1": (
        {"experiments": [{**EXPERIMENT, "guardrails": {"error_ratio": 0.5}}]},
        (
            ": experiments[0].guardrails.error_ratio: expected a number of at least 1, or null, found"
            " 0.5; 2 allows the treatment twice as many as the control"
        ),
    ),
    "a rate of 1": (
        {"experiments": [{**EXPERIMENT, "guardrails": {"false_stop_rate": 1}}]},
        ": experiments[0].guardrails.false_stop_rate: expected a number between 0 and 1, found 1",
    ),
    "guardrails by default of an experiment by model": (
        {"experiments": [{**EXPERIMENT, "assign_by": "model"}]},
        (
            ", experiment 'new': experiments[0].guardrails: expected none where the arm is assigned "
            "by model, which has no second arm to compare with, found some; set guardrails to none, "
            "or assign by request"
        ),
    ),
    "guardrails of an experiment by model": (
        {"experiments": [{**EXPERIMENT, "assign_by": "model", "guardrails": {}}]},
        (
            ", experiment 'new': experiments[0].guardrails: expected none where the arm is assigned "
            "by model, which has no second arm to compare with, found some; set guardrails to none, "
            "or assign by request"
        ),
    ),
}
"""Documents that both refuse, and what the reader says of each."""

TWO = [EXPERIMENT, {**EXPERIMENT, "experiment_id": "newer", "model_name_pattern": "bert"}]

BEYOND_THE_SCHEMA: dict[str, tuple[str, str]] = {
    "experiments that want the same requests": (
        json.dumps({"experiments": TWO}),
        (
            ", model 'bert': experiments: expected experiments whose unit_ranges do not overlap, "
            "found 'new' on 0 to 1 and 'newer' on 0 to 1; give each a range of its own, such as 0 to "
            "0.5 and 0.5 to 1"
        ),
    ),
    "an experiment twice": (
        json.dumps({"experiments": [EXPERIMENT, EXPERIMENT]}),
        ": experiments: expected every experiment_id once, found new, new; give each experiment a name of "
        "its own",
    ),
    "a range that ends before it begins": (
        json.dumps({"experiments": [{**EXPERIMENT, "unit_range": [0.5, 0.5]}]}),
        (
            ", experiment 'new': experiments[0].unit_range: expected two shares from 0 to 1, the "
            "smaller first, found 0.5 and 0.5"
        ),
    ),
    "a rollout that goes back": (
        json.dumps({"experiments": [{**EXPERIMENT, "rollout": [{"after_s": 1, "fraction": 0.05}]}]}),
        (
            ", experiment 'new': experiments[0].rollout: expected each step later and larger than the"
            " one before, found 0.05 after 1 s behind 0.1 after 0 s; sort them"
        ),
    ),
    "an unknown policy of an experiment": (
        json.dumps({"experiments": [{**EXPERIMENT, "treatment": {"name": "c4"}}]}),
        f": experiments[0].treatment: expected one of the policies {NAMES_OF_POLICIES}, found 'c4'",
    ),
    "an unknown policy": (
        '{"routing_rules": [{"model_name_pattern": "a", "policy": {"name": "latncy"}}]}',
        (
            f": routing_rules[0].policy: expected one of the policies "
            f"{NAMES_OF_POLICIES}, found 'latncy' (did you mean 'latency'?)"
        ),
    ),
    "a parameter that the policy does not take": (
        '{"default_policy": {"name": "c3", "parameters": {"speed": "1"}}}',
        ", policy 'c3': default_policy.parameters: expected none, found 'speed'; remove them",
    ),
    "no number": (
        '{"backend_weights": {"gpu": NaN}}',
        (
            ": backend_weights.gpu: expected a number above 0, found NaN; 1 is neutral, 2 prefers the"
            " device twice as much"
        ),
    ),
    "an endless number": (
        '{"backend_weights": {"gpu": Infinity}}',
        (
            ": backend_weights.gpu: expected a number above 0, found Infinity; 1 is neutral, 2 "
            "prefers the device twice as much"
        ),
    ),
    "a number that is too large": (
        '{"routing_rules": [{"model_name_pattern": "a", "max_latency_ms": 1e999}]}',
        (
            ": routing_rules[0].max_latency_ms: expected a number of milliseconds above 0, found "
            "Infinity; leave it out for no deadline"
        ),
    ),
    "a key twice": (
        '{"backend_weights": {"gpu": 1, "gpu": 2}}',
        ": backend_weights.gpu: expected every key once, found 'gpu' twice; remove one",
    ),
    "the whole of it twice": (
        '{"routing_rules": [], "routing_rules": []}',
        ": routing_rules: expected every key once, found 'routing_rules' twice; remove one",
    ),
}
"""Texts that only the reader refuses, and what it says of each."""
