/* The inputs of requests to variants: lent from the client's request, or own copies.
 *
 * A client's buffers are valid until its request is *answered*, even if it is not released: the HTTP and gRPC
 * front ends free them with the answer (Triton 24.10). So what a variant may still read then is copied. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "host.h"

typedef struct {
  char* name;
  DataType type;
  uint32_t dims;
  int64_t* shape;
  void* data;
  size_t size;
} Tensor;

struct Inputs {
  atomic_int references;
  uint32_t count;
  Tensor tensors[];
};

Inputs* inputs_new(uint32_t count) {
  Inputs* inputs = calloc(1, sizeof *inputs + count * sizeof(Tensor));
  atomic_init(&inputs->references, 1);
  return inputs;
}

bool inputs_add(
    Inputs* inputs, const char* name, DataType type, const int64_t* shape, uint32_t dims, size_t size, bool zeros) {
  Tensor* tensor = &inputs->tensors[inputs->count++];
  void* data = zeros ? calloc(1, size + 1) : malloc(size + 1);
  *tensor = (Tensor){strdup(name), type, dims, malloc(dims * sizeof *shape + 1), data, size};
  memcpy(tensor->shape, shape, dims * sizeof *shape);
  return tensor->data != NULL;
}

static bool copy_data(Input* input, uint32_t buffers, char* to) {
  for (uint32_t index = 0; index < buffers; index++) {
    const void* from;
    uint64_t size;
    MemoryType memory = MEMORY_CPU;
    int64_t device = 0;
    if (failed(TRITONBACKEND_InputBuffer(input, index, &from, &size, &memory, &device)) || memory == MEMORY_GPU)
      return false;
    memcpy(to, from, size);
    to += size;
  }
  return true;
}

static bool copy_tensor(Inputs* inputs, Request* request, uint32_t index) {
  Input* input;
  const char* name;
  DataType type;
  const int64_t* shape;
  uint32_t dims, buffers;
  uint64_t size;
  if (failed(TRITONBACKEND_RequestInputByIndex(request, index, &input)) ||
      failed(TRITONBACKEND_InputProperties(input, &name, &type, &shape, &dims, &size, &buffers)))
    return false;
  return inputs_add(inputs, name, type, shape, dims, size, false) &&
         copy_data(input, buffers, inputs->tensors[index].data);
}

Inputs* inputs_copied(Request* request) {
  uint32_t count;
  if (failed(TRITONBACKEND_RequestInputCount(request, &count))) return NULL;
  Inputs* inputs = inputs_new(count);
  for (uint32_t index = 0; index < count; index++) {
    if (!copy_tensor(inputs, request, index)) {
      inputs_free(inputs);
      return NULL;
    }
  }
  return inputs;
}

Inputs* inputs_shared(Inputs* inputs) {
  if (inputs != NULL) atomic_fetch_add(&inputs->references, 1);
  return inputs;
}

void inputs_free(Inputs* inputs) {
  if (inputs == NULL || atomic_fetch_sub(&inputs->references, 1) > 1) return;
  for (uint32_t index = 0; index < inputs->count; index++) {
    free(inputs->tensors[index].name);
    free(inputs->tensors[index].shape);
    free(inputs->tensors[index].data);
  }
  free(inputs);
}

Error* inputs_append(Inputs* inputs, ServerRequest* to) {
  Error* error = NULL;
  for (uint32_t index = 0; index < inputs->count && error == NULL; index++) {
    Tensor* tensor = &inputs->tensors[index];
    error = TRITONSERVER_InferenceRequestAddInput(to, tensor->name, tensor->type, tensor->shape, tensor->dims);
    if (error == NULL && tensor->size > 0)
      error = TRITONSERVER_InferenceRequestAppendInputData(to, tensor->name, tensor->data, tensor->size, MEMORY_CPU, 0);
  }
  return error;
}

static Error* lend_data(Input* input, const char* name, uint32_t buffers, ServerRequest* to) {
  Error* error = NULL;
  for (uint32_t index = 0; index < buffers && error == NULL; index++) {
    const void* base;
    uint64_t size;
    MemoryType memory = MEMORY_CPU;
    int64_t device = 0;
    error = TRITONBACKEND_InputBuffer(input, index, &base, &size, &memory, &device);
    if (error == NULL && size > 0)
      error = TRITONSERVER_InferenceRequestAppendInputData(to, name, base, size, memory, device);
  }
  return error;
}

Error* inputs_lend(Request* from, ServerRequest* to) {
  uint32_t count;
  Error* error = TRITONBACKEND_RequestInputCount(from, &count);
  for (uint32_t index = 0; error == NULL && index < count; index++) {
    Input* input;
    const char* name;
    DataType type;
    const int64_t* shape;
    uint32_t dims, buffers;
    error = TRITONBACKEND_RequestInputByIndex(from, index, &input);
    if (error == NULL) error = TRITONBACKEND_InputProperties(input, &name, &type, &shape, &dims, NULL, &buffers);
    if (error == NULL) error = TRITONSERVER_InferenceRequestAddInput(to, name, type, shape, dims);
    if (error == NULL) error = lend_data(input, name, buffers, to);
  }
  return error;
}
