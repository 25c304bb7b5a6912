/* Answers to the client. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "exchange.h"

static bool wants_output(Request* request, const char* name) {
  uint32_t count = 0;
  failed(TRITONBACKEND_RequestOutputCount(request, &count));
  for (uint32_t index = 0; index < count; index++) {
    const char* wanted;
    if (!failed(TRITONBACKEND_RequestOutputName(request, index, &wanted)) && strcmp(wanted, name) == 0) return true;
  }
  return false;
}

static Error* add_output(
    Response* response, const char* name, DataType type, const int64_t* shape, uint64_t dims, const void* base,
    size_t size) {
  Output* output;
  void* buffer;
  MemoryType memory = MEMORY_CPU;
  int64_t device = 0;
  Error* error = TRITONBACKEND_ResponseOutput(response, &output, name, type, shape, (uint32_t)dims);
  if (error == NULL) error = TRITONBACKEND_OutputBuffer(output, &buffer, size, &memory, &device);
  if (error == NULL && size > 0 && memory == MEMORY_GPU)
    error = TRITONSERVER_ErrorNew(
        ERROR_UNSUPPORTED, "outputs in the memory of a GPU: expected outputs in the memory of the CPU: "
                           "request them without CUDA shared memory, or set runtime: \"model.py\" for the router");
  if (error == NULL && size > 0) memcpy(buffer, base, size);
  return error;
}

static Error* copy_outputs(Exchange* exchange, ServerResponse* from, Response* to) {
  uint32_t count = 0;
  Error* error = TRITONSERVER_InferenceResponseOutputCount(from, &count);
  for (uint32_t index = 0; error == NULL && index < count; index++) {
    const char* name;
    DataType type;
    const int64_t* shape;
    uint64_t dims;
    const void* base;
    size_t size;
    MemoryType memory;
    int64_t device;
    void* user;
    error = TRITONSERVER_InferenceResponseOutput(
        from, index, &name, &type, &shape, &dims, &base, &size, &memory, &device, &user);
    if (error == NULL && wants_output(exchange->request, name))
      error = add_output(to, name, type, shape, dims, base, size);
  }
  return error;
}

static void copy_parameters(ServerResponse* from, Response* to) {
  uint32_t count = 0;
  failed(TRITONSERVER_InferenceResponseParameterCount(from, &count));
  for (uint32_t index = 0; index < count; index++) {
    const char* name;
    ParameterType type;
    const void* value;
    if (failed(TRITONSERVER_InferenceResponseParameter(from, index, &name, &type, &value))) continue;
    switch (type) {
      case PARAMETER_STRING: failed(TRITONBACKEND_ResponseSetStringParameter(to, name, value)); break;
      case PARAMETER_INT: failed(TRITONBACKEND_ResponseSetIntParameter(to, name, *(const int64_t*)value)); break;
      case PARAMETER_BOOL: failed(TRITONBACKEND_ResponseSetBoolParameter(to, name, *(const bool*)value)); break;
      case PARAMETER_DOUBLE: failed(TRITONBACKEND_ResponseSetDoubleParameter(to, name, *(const double*)value)); break;
    }
  }
}

/* Add a decision as a response parameter, and as an output of one element if the client wants that. */
static Error* add_decision(Exchange* exchange, Response* response, const char* text) {
  static const int64_t ONE[] = {1, 1};
  failed(TRITONBACKEND_ResponseSetStringParameter(response, names.decision_output, text));
  if (!wants_output(exchange->request, names.decision_output)) return NULL;
  uint32_t size = (uint32_t)strlen(text);
  char* element = malloc(sizeof size + size); /* as Triton stores a string: its length, then its bytes */
  memcpy(element, &size, sizeof size);
  memcpy(element + sizeof size, text, size);
  Error* error = add_output(
      response, names.decision_output, DATA_TYPE_BYTES, ONE, exchange->model->batched ? 2 : 1, element,
      sizeof size + size);
  free(element);
  return error;
}

/* Return whether the client still waits for its answer, which the caller then sends. */
static bool begin_answer(Exchange* exchange) {
  if (exchange->request == NULL || atomic_exchange(&exchange->answered, true)) return false;
  atomic_fetch_sub(&exchange->model->unanswered, 1);
  exchange->ended_ns = now_ns();
  return true;
}

/* Answer the client, unless it has its answer, from a variant's answer or with a decision, or both. */
void answer(Exchange* exchange, ServerResponse* from, const char* decision) {
  if (!begin_answer(exchange)) return;
  Response* response;
  if (failed(TRITONBACKEND_ResponseNew(&response, exchange->request))) return;
  Error* error = from == NULL ? NULL : copy_outputs(exchange, from, response);
  if (error == NULL && from != NULL) copy_parameters(from, response);
  if (error == NULL && decision != NULL) error = add_decision(exchange, response, decision);
  exchange->succeeded = error == NULL;
  failed(TRITONBACKEND_ResponseSend(response, RESPONSE_FINAL, error));
  failed(error);
}

void refuse(Exchange* exchange, ErrorCode code, const char* message) {
  if (!begin_answer(exchange)) return;
  Response* response;
  if (failed(TRITONBACKEND_ResponseNew(&response, exchange->request))) return;
  Error* error = TRITONSERVER_ErrorNew(code, message);
  failed(TRITONBACKEND_ResponseSend(response, RESPONSE_FINAL, error));
  failed(error);
}
