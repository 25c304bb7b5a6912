/* What a variant answers, compared with what the router's configuration declares. The values are not looked at. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exchange.h"

/* An output of an answer. */
typedef struct {
  const char* name;
  DataType type;
  const int64_t* shape;
  uint64_t dims;
} Answered;

static bool read_output(ServerResponse* response, uint32_t index, Answered* output) {
  const void* base;
  size_t size;
  MemoryType memory;
  int64_t device;
  void* user;
  return !failed(TRITONSERVER_InferenceResponseOutput(
      response, index, &output->name, &output->type, &output->shape, &output->dims, &base, &size, &memory, &device,
      &user));
}

/* Return the number of items in a request; 0 if it has no batch. */
static int64_t batch_of(const Model* model, Request* request) {
  Input* input;
  const int64_t* shape;
  uint32_t dims;
  if (!model->batched || failed(TRITONBACKEND_RequestInputByIndex(request, 0, &input)) ||
      failed(TRITONBACKEND_InputProperties(input, NULL, NULL, &shape, &dims, NULL, NULL)) || dims == 0)
    return 0;
  return shape[0];
}

static const ExpectedOutput* expected_output(const Model* model, const char* name) {
  for (uint32_t index = 0; index < model->output_count; index++)
    if (strcmp(model->outputs[index].name, name) == 0) return &model->outputs[index];
  return NULL;
}

static const Answered* answered_output(const Answered* outputs, uint32_t count, const char* name) {
  for (uint32_t index = 0; index < count; index++)
    if (strcmp(outputs[index].name, name) == 0) return &outputs[index];
  return NULL;
}

/* Return whether one of the outputs has another one with its name behind it. */
static bool is_repeated(const Answered* outputs, uint32_t count, const Answered* output) {
  const Answered* next = output + 1;
  return answered_output(next, (uint32_t)(outputs + count - next), output->name) != NULL;
}

static bool differs(const ExpectedOutput* expected, const Answered* output, int64_t batch, char* text, size_t size) {
  if (output == NULL && expected->optional) return false;
  if (output == NULL)
    snprintf(text, size, "wrong answer: output '%s': expected one, as it is not among the router's `optional_outputs`, found none", expected->name);
  else if (output->type != expected->type)
    snprintf(text, size, "wrong answer: output '%s': expected %s, found %s", expected->name,
             TRITONSERVER_DataTypeString(expected->type), TRITONSERVER_DataTypeString(output->type));
  else if (batch != 0 && output->dims == 0)
    snprintf(text, size, "wrong answer: output '%s': expected a batch of %" PRId64 ", found no dimension", expected->name, batch);
  else if (batch != 0 && output->shape[0] != batch)
    snprintf(text, size, "wrong answer: output '%s': expected a batch of %" PRId64 ", found %" PRId64, expected->name,
             batch, output->shape[0]);
  else
    return false;
  return true;
}

bool is_wrong(const Attempt* attempt, ServerResponse* response, char* text, size_t size) {
  const Model* model = attempt->exchange->model;
  Request* request = (Request*)attempt->request; /* the requests of a backend are the server's */
  uint32_t count = 0, wanted = 0;
  failed(TRITONSERVER_InferenceResponseOutputCount(response, &count));
  failed(TRITONBACKEND_RequestOutputCount(request, &wanted));
  Answered outputs[count + 1];
  for (uint32_t index = 0; index < count; index++)
    if (!read_output(response, index, &outputs[index])) outputs[index] = (Answered){.name = ""};
  int64_t batch = batch_of(model, request);
  for (uint32_t index = 0; index < wanted; index++) {
    const char* name;
    if (failed(TRITONBACKEND_RequestOutputName(request, index, &name))) continue;
    const ExpectedOutput* expected = expected_output(model, name);
    if (expected == NULL) continue;
    const Answered* output = answered_output(outputs, count, name);
    if (differs(expected, output, batch, text, size)) return true;
    if (output != NULL && is_repeated(outputs, count, output)) {
      snprintf(text, size, "wrong answer: output '%s': expected it once, found it twice", expected->name);
      return true;
    }
  }
  return false;
}
