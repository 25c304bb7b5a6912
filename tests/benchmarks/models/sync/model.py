"""A pass-through as Triton documents BLS: synchronous, one request after the other."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Forwards every request to `echo`."""

    def execute(self, requests):
        responses = []
        for request in requests:
            answer = pb_utils.InferenceRequest(
                model_name="echo",
                inputs=request.inputs(),
                requested_output_names=list(request.requested_output_names()),
            ).exec()
            if answer.has_error():
                raise pb_utils.TritonModelException(answer.error().message())
            responses.append(pb_utils.InferenceResponse(output_tensors=answer.output_tensors()))
        return responses
