"""Doubly robust correction of fitted service times for one policy.

A policy's latency is subject to interference: each choice changes the queues that later requests find. So
latencies of single requests cannot be reweighted to those of another policy. Service times are free of it:
given size and variant, how long a request is served does not depend on the choices for others. Hence

- the *service times* under the target policy are estimated by doubly robust off-policy evaluation, and
- the *waits* follow from them by simulating its queues, with the policy's own code, at the recorded arrivals.

With x_i the size of request i, k_i the variant that served it, p_i its propensity, y_i its service time,
m_k(x) the fitted mean, and q_i(k) the probability that the target policy sends request i to variant k (in a
simulated run, its share among the requests of about the same size in the same hundredth of the trace), the
doubly robust estimate of the total service time at variant k (Dudik et al.)

    Σ_i q_i(k) · m_k(x_i)  +  Σ_{i: k_i = k} q_i(k)/p_i · (y_i - m_k(x_i))

is the fitted total plus a correction of its error. Divided by the fitted total, it is the factor by which m_k
is wrong for the requests that the target policy would send there. The weights are normalized, which costs a
bias of order 1/n and removes most of the variance of large weights (Swaminathan and Joachims):

    ρ_k = Σ_{i: k_i = k} w_i · y_i  /  Σ_{i: k_i = k} w_i · m_k(x_i),   w_i = q_i(k_i) / max(p_i, 0.01).

An error that is not larger than its standard error s is noise that the fitted means do not have, and a larger
one is taken with the factor 1 - s²/(ρ_k - 1)² (James and Stein's, as in doubly robust estimates with
shrinkage): so the correction costs little variance where the fit is right, and is complete where it is wrong.

The estimate of the policy's mean latency is that of a simulation with ρ_k · m_k (a substitution estimator, as
in targeted maximum likelihood). It is right to first order if m is right, even with wrong propensities. With
right propensities, it is also right where m is wrong: about sizes, or because the variant was slow for a time
in which the recorded policy avoided it.

References:
    Dudik, Langford and Li, Doubly Robust Policy Evaluation and Learning, ICML 2011 (arXiv 1103.4601).
    Su, Dimakopoulou, Krishnamurthy and Dudik, Doubly Robust Off-Policy Evaluation with Shrinkage, ICML 2020.
    Swaminathan and Joachims, The Self-Normalized Estimator for Counterfactual Learning, NIPS 2015.
    Van der Laan and Rubin, Targeted Maximum Likelihood Learning, Int. J. of Biostatistics 2 (2006).
"""

import numpy as np

from router_tools.simulator.array import Array
from router_tools.simulator.executions import Executions

LOWEST_PROPENSITY = 0.01
"""Propensities below count as this, so that a single execution does not decide an estimate."""
FEWEST_EFFECTIVE = 10.0
"""The effective number of matching executions below which a variant is not corrected."""


def weights(target: Array, propensity: Array) -> Array:
    """Return the importance weights of executions.

    Args:
        target: the probability that the target policy chooses the variant that was chosen.
        propensity: the probability with which it was chosen.
    """
    weight: Array = target / np.maximum(propensity, LOWEST_PROPENSITY)
    return weight


def effective(weight: Array) -> float:
    """Return the effective number of executions, (Σw)² / Σw² (Kish); 0 if all weights are 0.

    Examples:
        >>> effective(np.array([1.0, 1.0, 1.0, 0.0]))
        3.0
    """
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares else 0.0


def factor(executed: Executions, fitted_ms: Array, target: Array, propensity: Array) -> float:
    """Return ρ of one variant, shrunk toward 1.

    Args:
        executed: its executions.
        fitted_ms: the fitted service time of each of them.
        target: the probability that the target policy sends each request there.
        propensity: the propensity of each request.
    """
    weight = weights(target[executed.request], propensity[executed.request])
    if effective(weight) < FEWEST_EFFECTIVE:
        return 1.0
    total_ms = float((weight * fitted_ms).sum())
    error = float((weight * (executed.service_ms - fitted_ms)).sum()) / total_ms
    residual_ms = weight * (executed.service_ms - (1.0 + error) * fitted_ms)
    variance = float((residual_ms**2).sum()) / total_ms**2
    return 1.0 + error * max(0.0, 1.0 - variance / error**2) if error else 1.0
