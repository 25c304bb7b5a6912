/* Requests to variants: everything that a client's request carries is handed on. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "exchange.h"

Allocator* allocator;

static Error* allocate(
    Allocator* unused, const char* tensor, size_t size, MemoryType memory, int64_t device, void* user, void** buffer,
    void** buffer_user, MemoryType* actual_memory, int64_t* actual_device) {
  (void)unused, (void)tensor, (void)memory, (void)device, (void)user;
  *buffer = malloc(size + 1);
  *buffer_user = NULL;
  *actual_memory = MEMORY_CPU; /* Triton copies there what a variant has elsewhere */
  *actual_device = 0;
  return *buffer == NULL ? TRITONSERVER_ErrorNew(ERROR_UNAVAILABLE, "no memory for an output of a variant") : NULL;
}

static Error* release(Allocator* unused, void* buffer, void* user, size_t size, MemoryType memory, int64_t device) {
  (void)unused, (void)user, (void)size, (void)memory, (void)device;
  free(buffer);
  return NULL;
}

Error* requests_start(void) {
  return allocator == NULL ? TRITONSERVER_ResponseAllocatorNew(&allocator, allocate, release, NULL) : NULL;
}

static Error* set_parameters(Request* from, ServerRequest* to) {
  uint32_t count = 0;
  failed(TRITONBACKEND_RequestParameterCount(from, &count));
  for (uint32_t index = 0; index < count; index++) {
    const char* key;
    ParameterType type;
    const void* value;
    Error* error = TRITONBACKEND_RequestParameter(from, index, &key, &type, &value);
    if (error != NULL) return error;
    if (strncmp(key, names.parameter_prefix, strlen(names.parameter_prefix)) == 0) continue;
    switch (type) {
      case PARAMETER_STRING: error = TRITONSERVER_InferenceRequestSetStringParameter(to, key, value); break;
      case PARAMETER_INT: error = TRITONSERVER_InferenceRequestSetIntParameter(to, key, *(const int64_t*)value); break;
      case PARAMETER_BOOL: error = TRITONSERVER_InferenceRequestSetBoolParameter(to, key, *(const bool*)value); break;
      case PARAMETER_DOUBLE:
        error = TRITONSERVER_InferenceRequestSetDoubleParameter(to, key, *(const double*)value);
        break;
    }
    if (error != NULL) return error;
  }
  return NULL;
}

/* Hand on everything that belongs to this request alone: a copy of it to measure a variant has none of this. */
static Error* set_identity(Request* from, ServerRequest* to) {
  const char* text;
  uint64_t number = 0;
  uint32_t flags = 0;
  Error* error = TRITONBACKEND_RequestId(from, &text);
  if (error == NULL && text[0] != '\0') error = TRITONSERVER_InferenceRequestSetId(to, text);
  if (error == NULL) error = TRITONBACKEND_RequestFlags(from, &flags);
  if (error == NULL && flags != 0) error = TRITONSERVER_InferenceRequestSetFlags(to, flags);
  if (error != NULL) return error;
  if (!failed(TRITONBACKEND_RequestCorrelationId(from, &number))) {
    if (number != 0) error = TRITONSERVER_InferenceRequestSetCorrelationId(to, number);
  } else if (!failed(TRITONBACKEND_RequestCorrelationIdString(from, &text))) {
    error = TRITONSERVER_InferenceRequestSetCorrelationIdString(to, text);
  }
  if (error == NULL) error = TRITONBACKEND_InferenceRequestTimeoutMicroseconds(from, &number);
  if (error == NULL && number != 0) error = TRITONSERVER_InferenceRequestSetTimeoutMicroseconds(to, number);
  /* A backend has no function to read the priority, but its requests are the server's. */
  if (error == NULL && !failed(TRITONSERVER_InferenceRequestPriorityUInt64((ServerRequest*)from, &number)) && number != 0)
    error = TRITONSERVER_InferenceRequestSetPriorityUInt64(to, number);
  return error;
}

static Error* set_outputs(Request* from, ServerRequest* to) {
  uint32_t count = 0;
  Error* error = TRITONBACKEND_RequestOutputCount(from, &count);
  for (uint32_t index = 0; error == NULL && index < count; index++) {
    const char* name;
    error = TRITONBACKEND_RequestOutputName(from, index, &name);
    if (error == NULL && strcmp(name, names.decision_output) != 0)
      error = TRITONSERVER_InferenceRequestAddRequestedOutput(to, name);
  }
  return error;
}

/* Fill a request to a variant. `like` is the client's request that it is or copies; NULL if there is none. */
Error* fill(Exchange* exchange, ServerRequest* to, Request* like) {
  Error* error;
  if (exchange->inputs != NULL) {
    error = inputs_append(exchange->inputs, to);
  } else if (exchange->request != NULL) {
    error = inputs_lend(exchange->request, to);
  } else {
    error = TRITONSERVER_ErrorNew(ERROR_CANCELLED, "the inputs cannot be copied");
  }
  if (error == NULL && like != NULL) error = set_parameters(like, to);
  if (error == NULL && like != NULL) error = set_outputs(like, to);
  if (error == NULL && exchange->request != NULL) error = set_identity(exchange->request, to);
  return error;
}

Trace* child_trace(Exchange* exchange) {
  Trace *trace = NULL, *child = NULL;
  if (exchange->request == NULL || failed(TRITONBACKEND_RequestTrace(exchange->request, &trace)) || trace == NULL)
    return NULL;
  return failed(TRITONSERVER_InferenceTraceSpawnChildTrace(trace, &child)) ? NULL : child;
}
