"""`python3 -m router_backend.reload host:port model`: unload a model of a Triton server and load it again.

A process of its own, since a router's process cannot do so without freezing: it asks by gRPC, which delays no
request, and needs the package `grpcio`. Exit status: 0 if the model is loaded again; 1 if it does not load,
and 2 if the server cannot be asked, each with a line on stderr.
"""

import sys

NOT_LOADED, CANNOT_ASK = 1, 2
LOAD_WITHIN_S = 300.0


def main(address: str, model: str) -> int:
    """Unload a model and load it again; return the exit status."""
    try:
        from tritonclient.grpc import InferenceServerClient
        from tritonclient.utils import InferenceServerException
    except ImportError as error:
        sys.stderr.write(f"{error}: install tritonclient[grpc]\n")
        return CANNOT_ASK
    client = InferenceServerClient(address)
    try:
        client.unload_model(model, client_timeout=LOAD_WITHIN_S)
    except InferenceServerException as error:
        sys.stderr.write(f"{error.message()}\n")
        return CANNOT_ASK
    try:
        client.load_model(model, client_timeout=LOAD_WITHIN_S)
    except InferenceServerException as error:
        sys.stderr.write(f"{error.message()}\n")
        return NOT_LOADED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
