/* What Python is asked about a request, and what it answers. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"

static char* text_of(PyObject* object) {
  const char* text = object == NULL ? NULL : PyUnicode_AsUTF8AndSize(object, NULL);
  return text == NULL ? NULL : strdup(text);
}

/* What a client or a variant sent may not be UTF-8. */
static PyObject* text_from(const char* bytes) {
  return PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)strlen(bytes), "replace");
}

PyObject* owned(PyObject* object) {
  Py_IncRef(object);
  return object;
}

static Command refusal(ErrorCode code, char* text) {
  return (Command){.kind = REFUSE, .code = code, .text = text};
}

/* Return the command of a result, which is consumed. An exception is a defect: it is logged, and the request ends with
 * it. */
Command command_of(PyObject* result) {
  if (result == NULL) result = host_defect();
  if (result == NULL) return refusal(ERROR_INTERNAL, python_error_text());
  Command command = {.kind = NOTHING};
  if (result != python_none) {
    command.kind = (Kind)PyLong_AsLongLong(PyTuple_GetItem(result, 0));
    if (command.kind == REFUSE) {
      command.code = (long)PyLong_AsLongLong(PyTuple_GetItem(result, 1));
      command.text = text_of(PyTuple_GetItem(result, 2));
    } else if (command.kind == WAIT) {
      command.wait_ms = PyFloat_AsDouble(PyTuple_GetItem(result, 1));
    } else if (command.kind != CANCEL) {
      command.text = text_of(PyTuple_GetItem(result, 1));
    }
    if (command.kind == FORWARD || command.kind == COPY) {
      command.listener = owned(PyTuple_GetItem(result, 2));
      command.attempt = owned(PyTuple_GetItem(result, 3));
      command.overdue_ms = PyFloat_AsDouble(PyTuple_GetItem(result, command.kind == COPY ? 4 : 6));
    }
    if (command.kind == FORWARD) {
      command.bound_ms = PyFloat_AsDouble(PyTuple_GetItem(result, 4));
      command.flags = (long)PyLong_AsLongLong(PyTuple_GetItem(result, 5));
      command.hedge_ms = PyFloat_AsDouble(PyTuple_GetItem(result, 7));
    }
  }
  Py_DecRef(result);
  return command;
}

static PyObject* parameter_value(ParameterType type, const void* value) {
  switch (type) {
    case PARAMETER_STRING: return text_from(value);
    case PARAMETER_INT: return PyLong_FromLongLong(*(const int64_t*)value);
    case PARAMETER_BOOL: return PyBool_FromLong(*(const bool*)value);
    case PARAMETER_DOUBLE: return PyFloat_FromDouble(*(const double*)value);
  }
  return NULL;
}

/* Return a request's parameters as a dict; None if there are none. */
static PyObject* parameters_of(Request* request) {
  uint32_t count = 0;
  if (failed(TRITONBACKEND_RequestParameterCount(request, &count)) || count == 0) return owned(python_none);
  PyObject* parameters = PyDict_New();
  for (uint32_t index = 0; index < count; index++) {
    const char* key;
    ParameterType type;
    const void* data;
    if (failed(TRITONBACKEND_RequestParameter(request, index, &key, &type, &data))) continue;
    PyObject* value = parameter_value(type, data);
    if (value == NULL) continue;
    PyObject* name = text_from(key);
    PyDict_SetItem(parameters, name, value);
    Py_DecRef(name), Py_DecRef(value);
  }
  return parameters;
}

/* Return the request's correlation id as text, else its own id, else an empty text. */
static PyObject* unit_of(Request* request, uint64_t correlation_id, const char* correlation_text) {
  const char* id = correlation_text;
  char digits[24];
  if (correlation_id != 0) {
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)correlation_id);
    id = digits;
  }
  if (id == NULL && failed(TRITONBACKEND_RequestId(request, &id))) id = NULL;
  if (id == NULL) id = "";
  return text_from(id);
}

Command ask_arrived(Exchange* exchange) {
  Request* request = exchange->request;
  uint64_t batch_size = 1, elements = 0, timeout_us = 0, correlation_id = 0;
  uint32_t inputs = 0;
  const char* correlation_text = NULL;
  failed(TRITONBACKEND_RequestInputCount(request, &inputs));
  for (uint32_t index = 0; index < inputs; index++) {
    Input* input;
    const int64_t* shape;
    uint32_t dims;
    if (failed(TRITONBACKEND_RequestInputByIndex(request, index, &input)) ||
        failed(TRITONBACKEND_InputProperties(input, NULL, NULL, &shape, &dims, NULL, NULL)))
      continue;
    uint64_t product = 1;
    for (uint32_t axis = 0; axis < dims; axis++) product *= (uint64_t)shape[axis];
    elements += product;
    if (exchange->model->batched && dims > 0) batch_size = (uint64_t)shape[0];
  }
  failed(TRITONBACKEND_InferenceRequestTimeoutMicroseconds(request, &timeout_us));
  if (failed(TRITONBACKEND_RequestCorrelationId(request, &correlation_id)))
    failed(TRITONBACKEND_RequestCorrelationIdString(request, &correlation_text));
  exchange->batch_size = batch_size;
  bool in_sequence = correlation_id != 0 || correlation_text != NULL;
  PyObject* arguments[] = {
      PyLong_FromUnsignedLongLong(batch_size),
      PyLong_FromUnsignedLongLong(elements),
      PyLong_FromUnsignedLongLong((unsigned long long)atomic_load(&exchange->model->in_flight)),
      PyLong_FromUnsignedLongLong(timeout_us),
      unit_of(request, correlation_id, correlation_text),
      PyBool_FromLong(in_sequence),
      parameters_of(request),
  };
  Command command = command_of(PyObject_CallMethodObjArgs(
      exchange->model->router, names.arrived, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
      arguments[5], arguments[6], NULL));
  for (size_t each = 0; each < sizeof arguments / sizeof *arguments; each++) Py_DecRef(arguments[each]);
  return command;
}

static double latency_ms(const Attempt* attempt) {
  return (double)(attempt->ended_ns - attempt->sent_ns) / 1e6;
}

static void let_go(Attempt* attempt) {
  Py_DecRef(attempt->listener);
  Py_DecRef(attempt->attempt);
  attempt->listener = attempt->attempt = NULL;
}

/* Nothing is asked about an attempt whose end was reported. */
Command ask_overdue(Attempt* attempt) {
  if (attempt->listener == NULL) return (Command){.kind = NOTHING};
  return command_of(PyObject_CallMethodObjArgs(attempt->listener, names.overdue, attempt->attempt, NULL));
}

/* Return whether the router is unloaded, so that the end of a measurement is reported to nobody. */
static bool is_closed(Attempt* attempt) {
  bool closed = atomic_load(&attempt->exchange->model->closed);
  if (closed) let_go(attempt);
  return closed;
}

Command ask_failed(Attempt* attempt, ErrorCode code, const char* message, bool reached) {
  if (is_closed(attempt)) return (Command){.kind = NOTHING};
  PyObject* latency = PyFloat_FromDouble(latency_ms(attempt));
  PyObject* number = PyLong_FromLongLong(code);
  PyObject* text = text_from(message);
  PyObject* was_reached = PyBool_FromLong(reached);
  Request* request = attempt->exchange->request;
  bool canceled = false;
  if (request != NULL) failed(TRITONBACKEND_RequestIsCancelled(request, &canceled));
  PyObject* by_client = PyBool_FromLong(canceled);
  Command command = command_of(PyObject_CallMethodObjArgs(
      attempt->listener, names.failed, attempt->attempt, latency, number, text, was_reached, by_client, NULL));
  Py_DecRef(latency), Py_DecRef(number), Py_DecRef(text), Py_DecRef(was_reached), Py_DecRef(by_client);
  let_go(attempt);
  return command;
}

Command ask_slow(Exchange* exchange) {
  return command_of(PyObject_CallMethodObjArgs(exchange->hedge, names.slow, NULL));
}

Command ask_answered(Attempt* attempt) {
  if (is_closed(attempt)) return (Command){.kind = NOTHING};
  PyObject* latency = PyFloat_FromDouble(latency_ms(attempt));
  Command command =
      command_of(PyObject_CallMethodObjArgs(attempt->listener, names.answered, attempt->attempt, latency, NULL));
  Py_DecRef(latency);
  let_go(attempt);
  return command;
}

char* ask_explanation(Attempt* attempt) {
  PyObject* latency = PyFloat_FromDouble(latency_ms(attempt));
  PyObject* text = PyObject_CallMethodObjArgs(attempt->listener, names.explain, attempt->attempt, latency, NULL);
  char* copy = text == NULL ? python_error_text() : text_of(text);
  if (text != NULL) Py_DecRef(text);
  Py_DecRef(latency);
  return copy;
}
