"""`python3 -m router_backend.reload host:port model [loaded]`: load a model of a Triton server again.

With `loaded`, it is unloaded before; one that is not loaded is then left so.

A process of its own, since a router's process cannot do so without freezing: it asks by gRPC, which delays no
request, and needs the package `grpcio`. Exit status: 0 if the model is loaded again; 1 if it does not load,
2 if the server can never be asked, 3 if the model is left, and 4 if the server does not answer now, each with
a line on stderr.
"""

import sys

NOT_LOADED, CANNOT_ASK, LEFT, NO_ANSWER = 1, 2, 3, 4
LOADED = "loaded"
NOT_ALLOWED = "not allowed"
"""In the error of a server whose models cannot be loaded by request."""
LOAD_WITHIN_S = 300.0


def main(address: str, model: str, expected: str = "") -> int:
    """Load a model again; return the exit status."""
    try:
        from tritonclient.grpc import InferenceServerClient
        from tritonclient.utils import InferenceServerException
    except ImportError as error:
        return _say(CANNOT_ASK, f"{error}: install tritonclient[grpc]")
    client = InferenceServerClient(address)
    try:
        if expected == LOADED:
            if not client.is_model_ready(model, client_timeout=LOAD_WITHIN_S):
                return _say(LEFT, "it is not loaded")
            client.unload_model(model, client_timeout=LOAD_WITHIN_S)
    except InferenceServerException as error:
        return _say(CANNOT_ASK if NOT_ALLOWED in error.message() else NO_ANSWER, error.message())
    try:
        client.load_model(model, client_timeout=LOAD_WITHIN_S)
    except InferenceServerException as error:
        return _say(NOT_LOADED, error.message())
    return 0


def _say(status: int, reason: str) -> int:
    """Write a reason as one line, though Triton's may have several, and return the status."""
    sys.stderr.write(" ".join(reason.split()) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
