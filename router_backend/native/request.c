/* The life of a client's request: what Python decides about it is carried out here.
 *
 * Python is asked when a request arrives, when an attempt ends and when a bound passes. It answers with a
 * command. No call to Triton is made while Python's lock is held. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

typedef struct Attempt Attempt;

/* A request at the router: a client's, or one of the router's own, which has no `request`. */
typedef struct Exchange Exchange;
struct Exchange {
  Model* model;
  Instance* instance;
  Request* request;
  Inputs* inputs;        /* own copies; NULL if the client's buffers are lent */
  atomic_int references; /* who still works on it: attempts, a timer, and the one that started it */
  atomic_bool answered;
  bool succeeded;
  uint64_t batch_size, arrived_ns, sent_ns, ended_ns;
  Timer timer;
  PyObject* bound; /* what the timer asks; NULL if it is not set */
  pthread_mutex_t mutex;
  Attempt* open;
  bool canceled;              /* by the client, as the sweep found */
  Exchange *older, *newer;    /* in the list of the sweep */
};

/* A request at a variant. Its two legs are the answer and the release of its inputs. */
struct Attempt {
  Exchange* exchange;
  ServerRequest* request;
  PyObject *life, *attempt;
  uint64_t sent_ns, ended_ns;
  bool explains, records_first, reported;
  atomic_int legs;
  Attempt *next, **link; /* in the exchange's list, once the request may be canceled */
};

typedef enum { NOTHING = -1, FORWARD, EXPLAIN, REFUSE, COPY } Kind;
enum { EXPLAINS = 1, KEEPS_INPUTS = 2, RECORDS_FIRST = 4 };

/* What Python wants: (FORWARD, variant, life, attempt, bound_ms, flags), (EXPLAIN, text),
 * (REFUSE, code, message), (COPY, variant, life, attempt) or None. */
typedef struct {
  Kind kind;
  char* text;
  PyObject *life, *attempt;
  double bound_ms;
  long code, flags;
} Command;

static Allocator* allocator;

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

/* ---- What Python is asked. These expect its lock. ---- */

static char* text_of(PyObject* object) {
  const char* text = object == NULL ? NULL : PyUnicode_AsUTF8AndSize(object, NULL);
  return text == NULL ? NULL : strdup(text);
}

static PyObject* owned(PyObject* object) {
  Py_IncRef(object);
  return object;
}

static Command refusal(ErrorCode code, char* text) {
  return (Command){.kind = REFUSE, .code = code, .text = text};
}

/* Return the command of a result, which is consumed. An exception is a defect: the request ends with it. */
static Command command_of(PyObject* result) {
  if (result == NULL) return refusal(ERROR_INTERNAL, python_error_text());
  Command command = {.kind = NOTHING};
  if (result != python_none) {
    command.kind = (Kind)PyLong_AsLongLong(PyTuple_GetItem(result, 0));
    if (command.kind == REFUSE) {
      command.code = (long)PyLong_AsLongLong(PyTuple_GetItem(result, 1));
      command.text = text_of(PyTuple_GetItem(result, 2));
    } else {
      command.text = text_of(PyTuple_GetItem(result, 1));
    }
    if (command.kind == FORWARD || command.kind == COPY) {
      command.life = owned(PyTuple_GetItem(result, 2));
      command.attempt = owned(PyTuple_GetItem(result, 3));
    }
    if (command.kind == FORWARD) {
      command.bound_ms = PyFloat_AsDouble(PyTuple_GetItem(result, 4));
      command.flags = (long)PyLong_AsLongLong(PyTuple_GetItem(result, 5));
    }
  }
  Py_DecRef(result);
  return command;
}

static PyObject* parameter_value(ParameterType type, const void* value) {
  switch (type) {
    case PARAMETER_STRING: return PyUnicode_DecodeUTF8(value, (Py_ssize_t)strlen(value), "replace");
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
    PyDict_SetItemString(parameters, key, value);
    Py_DecRef(value);
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
  return PyUnicode_DecodeUTF8(id, (Py_ssize_t)strlen(id), "replace");
}

static Command ask_arrived(Exchange* exchange) {
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
      PyLong_FromUnsignedLongLong((unsigned long long)atomic_load(&exchange->model->unanswered)),
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
  Py_DecRef(attempt->life);
  Py_DecRef(attempt->attempt);
}

static Command ask_failed(Attempt* attempt, ErrorCode code, const char* message, bool reached) {
  PyObject* latency = PyFloat_FromDouble(latency_ms(attempt));
  PyObject* number = PyLong_FromLongLong(code);
  PyObject* text = PyUnicode_DecodeUTF8(message, (Py_ssize_t)strlen(message), "replace");
  PyObject* was_reached = PyBool_FromLong(reached);
  Request* request = attempt->exchange->request;
  bool canceled = false;
  if (request != NULL) failed(TRITONBACKEND_RequestIsCancelled(request, &canceled));
  PyObject* by_client = PyBool_FromLong(canceled);
  Command command = command_of(PyObject_CallMethodObjArgs(
      attempt->life, names.failed, attempt->attempt, latency, number, text, was_reached, by_client, NULL));
  Py_DecRef(latency), Py_DecRef(number), Py_DecRef(text), Py_DecRef(was_reached), Py_DecRef(by_client);
  let_go(attempt);
  return command;
}

static Command ask_answered(Attempt* attempt) {
  PyObject* latency = PyFloat_FromDouble(latency_ms(attempt));
  Command command =
      command_of(PyObject_CallMethodObjArgs(attempt->life, names.answered, attempt->attempt, latency, NULL));
  Py_DecRef(latency);
  let_go(attempt);
  return command;
}

static char* ask_explanation(Attempt* attempt) {
  PyObject* latency = PyFloat_FromDouble(latency_ms(attempt));
  PyObject* text = PyObject_CallMethodObjArgs(attempt->life, names.explain, attempt->attempt, latency, NULL);
  char* copy = text == NULL ? python_error_text() : text_of(text);
  if (text != NULL) Py_DecRef(text);
  Py_DecRef(latency);
  return copy;
}

/* The request has its answer, so no bound applies to it any more. */
static void stop_timer(Exchange* exchange) {
  if (exchange->bound == NULL || !timer_stop(&exchange->timer)) return;
  Py_DecRef(exchange->bound);
  exchange->bound = NULL;
  atomic_fetch_sub(&exchange->references, 1); /* never the last one: the caller has one, too */
}

/* ---- Answers to the client ---- */

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

/* Answer the client, unless it has its answer, from a variant's answer or with a decision, or both. */
static void answer(Exchange* exchange, ServerResponse* from, const char* decision) {
  if (exchange->request == NULL || atomic_exchange(&exchange->answered, true)) return;
  exchange->ended_ns = now_ns();
  atomic_fetch_sub(&exchange->model->unanswered, 1);
  Response* response;
  if (failed(TRITONBACKEND_ResponseNew(&response, exchange->request))) return;
  Error* error = from == NULL ? NULL : copy_outputs(exchange, from, response);
  if (error == NULL && from != NULL) copy_parameters(from, response);
  if (error == NULL && decision != NULL) error = add_decision(exchange, response, decision);
  exchange->succeeded = error == NULL;
  failed(TRITONBACKEND_ResponseSend(response, RESPONSE_FINAL, error));
  failed(error);
}

static void refuse(Exchange* exchange, ErrorCode code, const char* message) {
  if (exchange->request == NULL || atomic_exchange(&exchange->answered, true)) return;
  exchange->ended_ns = now_ns();
  atomic_fetch_sub(&exchange->model->unanswered, 1);
  Response* response;
  if (failed(TRITONBACKEND_ResponseNew(&response, exchange->request))) return;
  Error* error = TRITONSERVER_ErrorNew(code, message);
  failed(TRITONBACKEND_ResponseSend(response, RESPONSE_FINAL, error));
  failed(error);
}

/* ---- Cancellation by the client: Triton does not report it, so it is asked for from time to time. ---- */

static const uint64_t SWEEP_NS = 20000000; /* shorter requests are not worth asking for */
static pthread_mutex_t sweep_mutex = PTHREAD_MUTEX_INITIALIZER;
static Exchange* newest;
static void sweep(Timer* timer);
static Timer sweep_timer = {.fire = sweep};
static bool sweeps;

static void cancel_open(Exchange* exchange) {
  pthread_mutex_lock(&exchange->mutex);
  for (Attempt* attempt = exchange->open; attempt != NULL; attempt = attempt->next)
    failed(TRITONSERVER_InferenceRequestCancel(attempt->request));
  pthread_mutex_unlock(&exchange->mutex);
}

static void start_sweep(void) {
  sweeps = newest != NULL;
  sweep_timer.due_ns = now_ns() + SWEEP_NS;
  if (sweeps) timer_start(&sweep_timer);
}

static void sweep(Timer* timer) {
  (void)timer;
  pthread_mutex_lock(&sweep_mutex);
  for (Exchange* each = newest; each != NULL; each = each->older) {
    if (each->canceled || atomic_load(&each->answered)) continue;
    if (failed(TRITONBACKEND_RequestIsCancelled(each->request, &each->canceled)) || !each->canceled) continue;
    cancel_open(each);
  }
  start_sweep();
  pthread_mutex_unlock(&sweep_mutex);
}

static void enlist(Exchange* exchange) {
  pthread_mutex_lock(&sweep_mutex);
  exchange->older = newest;
  if (newest != NULL) newest->newer = exchange;
  newest = exchange;
  if (!sweeps) start_sweep();
  pthread_mutex_unlock(&sweep_mutex);
}

static void delist(Exchange* exchange) {
  pthread_mutex_lock(&sweep_mutex);
  if (exchange->older != NULL) exchange->older->newer = exchange->newer;
  if (exchange->newer != NULL) exchange->newer->older = exchange->older;
  if (newest == exchange) newest = exchange->older;
  pthread_mutex_unlock(&sweep_mutex);
}

/* ---- The end of an exchange ---- */

static void report_statistics(Exchange* exchange) {
  uint64_t start_ns = exchange->sent_ns != 0 ? exchange->sent_ns : exchange->arrived_ns;
  uint64_t end_ns = exchange->ended_ns > start_ns ? exchange->ended_ns : start_ns;
  uint64_t last_ns = now_ns();
  failed(TRITONBACKEND_ModelInstanceReportStatistics(
      exchange->instance, exchange->request, exchange->succeeded, exchange->arrived_ns, start_ns, end_ns, last_ns));
  if (exchange->succeeded)
    failed(TRITONBACKEND_ModelInstanceReportBatchStatistics(
        exchange->instance, exchange->batch_size, exchange->arrived_ns, start_ns, end_ns, last_ns));
}

static void leave(Exchange* exchange) {
  if (atomic_fetch_sub(&exchange->references, 1) > 1) return;
  inputs_free(exchange->inputs);
  if (exchange->request != NULL) {
    delist(exchange);
    refuse(exchange, ERROR_INTERNAL, "defect in the router: the request ended without an answer"); /* unless it has one */
    report_statistics(exchange);
    failed(TRITONBACKEND_RequestRelease(exchange->request, RELEASE_ALL));
  } else {
    atomic_fetch_sub(&exchange->model->own_requests, 1);
  }
  pthread_mutex_destroy(&exchange->mutex);
  free(exchange);
}

static Exchange* exchange_new(Model* model, Instance* instance, Request* request, Inputs* inputs) {
  Exchange* exchange = calloc(1, sizeof *exchange);
  exchange->model = model;
  exchange->instance = instance;
  exchange->request = request;
  exchange->inputs = inputs;
  exchange->arrived_ns = now_ns();
  atomic_init(&exchange->references, 1);
  pthread_mutex_init(&exchange->mutex, NULL);
  if (request != NULL) enlist(exchange);
  atomic_fetch_add(request != NULL ? &model->unanswered : &model->own_requests, 1);
  return exchange;
}

/* ---- Attempts ---- */

static void carry_out(Exchange* exchange, Command command, Request* like);

static void add_open(Exchange* exchange, Attempt* attempt) {
  pthread_mutex_lock(&exchange->mutex);
  attempt->next = exchange->open;
  attempt->link = &exchange->open;
  if (attempt->next != NULL) attempt->next->link = &attempt->next;
  exchange->open = attempt;
  pthread_mutex_unlock(&exchange->mutex);
}

static void remove_open(Exchange* exchange, Attempt* attempt) {
  if (attempt->link == NULL) return;
  pthread_mutex_lock(&exchange->mutex);
  *attempt->link = attempt->next;
  if (attempt->next != NULL) attempt->next->link = attempt->link;
  pthread_mutex_unlock(&exchange->mutex);
}

static void end_leg(Attempt* attempt) {
  if (atomic_fetch_sub(&attempt->legs, 1) > 1) return;
  Exchange* exchange = attempt->exchange;
  remove_open(exchange, attempt);
  failed(TRITONSERVER_InferenceRequestDelete(attempt->request));
  free(attempt);
  leave(exchange);
}

static void on_release(ServerRequest* request, uint32_t flags, void* user) {
  (void)request;
  if (flags & RELEASE_ALL) end_leg(user);
}

/* Expects Python's lock. */
static Command record(Attempt* attempt) {
  stop_timer(attempt->exchange);
  return ask_answered(attempt);
}

static void on_success(Attempt* attempt, ServerResponse* response) {
  Exchange* exchange = attempt->exchange;
  char* decision = NULL;
  bool recorded = attempt->explains || attempt->records_first;
  Command command;
  if (recorded) {
    python_enter();
    if (attempt->explains) decision = ask_explanation(attempt);
    command = record(attempt);
    python_leave();
  }
  answer(exchange, response, decision);
  free(decision);
  failed(TRITONSERVER_InferenceResponseDelete(response));
  if (!recorded) { /* the client need not wait for it */
    python_enter();
    command = record(attempt);
    python_leave();
  }
  carry_out(exchange, command, exchange->request);
}

static void on_failure(Attempt* attempt, ErrorCode code, const char* message) {
  Exchange* exchange = attempt->exchange;
  python_enter();
  Command command = ask_failed(attempt, code, message, true);
  if (command.kind == REFUSE) stop_timer(exchange);
  python_leave();
  carry_out(exchange, command, exchange->request);
}

static void on_response(ServerResponse* response, uint32_t flags, void* user) {
  Attempt* attempt = user;
  if (!attempt->reported && (response != NULL || flags & RESPONSE_FINAL)) {
    attempt->reported = true;
    attempt->ended_ns = now_ns();
    Error* error = response == NULL ? TRITONSERVER_ErrorNew(ERROR_INTERNAL, "the variant ended without an answer")
                                    : TRITONSERVER_InferenceResponseError(response);
    if (error == NULL) {
      on_success(attempt, response);
      response = NULL;
    } else {
      on_failure(attempt, TRITONSERVER_ErrorCode(error), TRITONSERVER_ErrorMessage(error));
      TRITONSERVER_ErrorDelete(error);
    }
  }
  if (response != NULL) failed(TRITONSERVER_InferenceResponseDelete(response));
  if (flags & RESPONSE_FINAL) end_leg(attempt);
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
static Error* fill(Exchange* exchange, Attempt* attempt, Request* like) {
  ServerRequest* to = attempt->request;
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
  if (error == NULL) error = TRITONSERVER_InferenceRequestSetReleaseCallback(to, on_release, attempt);
  if (error == NULL)
    error = TRITONSERVER_InferenceRequestSetResponseCallback(to, allocator, NULL, on_response, attempt);
  return error;
}

static Trace* child_trace(Exchange* exchange) {
  Trace *trace = NULL, *child = NULL;
  if (exchange->request == NULL || failed(TRITONBACKEND_RequestTrace(exchange->request, &trace)) || trace == NULL)
    return NULL;
  return failed(TRITONSERVER_InferenceTraceSpawnChildTrace(trace, &child)) ? NULL : child;
}

/* Send a request to a variant. On an error nothing was sent, and the attempt is to be reported and freed. */
static Error* send(Exchange* exchange, Attempt* attempt, const char* variant, Request* like, bool* reached) {
  Error* error = TRITONSERVER_InferenceRequestNew(&attempt->request, server, variant, LATEST_VERSION);
  *reached = error == NULL;
  if (error != NULL) return error;
  error = fill(exchange, attempt, like);
  if (error != NULL) return error;
  add_open(exchange, attempt);
  return TRITONSERVER_ServerInferAsync(server, attempt->request, child_trace(exchange));
}

static Attempt* attempt_new(Exchange* exchange, const Command* command) {
  Attempt* attempt = calloc(1, sizeof *attempt);
  attempt->exchange = exchange;
  attempt->life = command->life;
  attempt->attempt = command->attempt;
  attempt->explains = command->flags & EXPLAINS;
  attempt->records_first = command->flags & RECORDS_FIRST;
  atomic_init(&attempt->legs, 2);
  attempt->sent_ns = now_ns();
  if (exchange->sent_ns == 0) exchange->sent_ns = attempt->sent_ns;
  atomic_fetch_add(&exchange->references, 1);
  return attempt;
}

/* Forward a request; return what to do if it could not be sent. */
static Command forward(Exchange* exchange, const Command* command, Request* like) {
  Attempt* attempt = attempt_new(exchange, command);
  bool reached;
  Error* error = send(exchange, attempt, command->text, like, &reached);
  if (error == NULL) return (Command){.kind = NOTHING};
  attempt->ended_ns = now_ns();
  python_enter();
  Command next = ask_failed(attempt, TRITONSERVER_ErrorCode(error), TRITONSERVER_ErrorMessage(error), reached);
  python_leave();
  TRITONSERVER_ErrorDelete(error);
  atomic_store(&attempt->legs, 1);
  end_leg(attempt);
  return next;
}

static void on_bound(Timer* timer);

/* Expects Python's lock. */
static void set_bound(Exchange* exchange, const Command* command) {
  if (command->kind != FORWARD || command->bound_ms <= 0) return;
  exchange->bound = owned(command->life);
  exchange->timer.due_ns = exchange->arrived_ns + (uint64_t)(command->bound_ms * 1e6);
  exchange->timer.fire = on_bound;
}

/* Do what Python wants, until there is nothing more to do now. Consumes the command. */
static void carry_out(Exchange* exchange, Command command, Request* like) {
  if (command.kind == COPY) {
    Exchange* copy = exchange_new(exchange->model, NULL, NULL, inputs_shared(exchange->inputs));
    command.kind = FORWARD;
    carry_out(copy, command, like);
    leave(copy);
    return;
  }
  while (command.kind == FORWARD) {
    Command next = forward(exchange, &command, like);
    free(command.text);
    command = next;
  }
  if (command.kind == EXPLAIN) answer(exchange, NULL, command.text);
  if (command.kind == REFUSE) refuse(exchange, (ErrorCode)command.code, command.text);
  free(command.text);
}

static void on_bound(Timer* timer) {
  Exchange* exchange = (Exchange*)((char*)timer - offsetof(Exchange, timer));
  python_enter();
  Command command = {.kind = NOTHING};
  if (!atomic_load(&exchange->answered))
    command = command_of(PyObject_CallMethodObjArgs(exchange->bound, names.bound_passed, NULL));
  Py_DecRef(exchange->bound);
  python_leave();
  bool refused = command.kind == REFUSE;
  carry_out(exchange, command, exchange->request);
  if (refused) cancel_open(exchange);
  leave(exchange);
}

/* The bound of a request that cannot be copied is dropped: its variant may read it until it ends. */
static void start_bound(Exchange* exchange, const Command* command) {
  if (command->kind != FORWARD) return;
  if (command->flags & KEEPS_INPUTS) exchange->inputs = inputs_copied(exchange->request);
  if (exchange->bound == NULL) return;
  if (exchange->inputs != NULL) {
    atomic_fetch_add(&exchange->references, 1);
    timer_start(&exchange->timer);
    return;
  }
  python_enter();
  Py_DecRef(exchange->bound);
  exchange->bound = NULL;
  python_leave();
}

/* Decide about all requests of a batch before any of them is sent, since Python's lock is taken once then. */
void requests_arrived(Model* model, Instance* instance, Request** requests, uint32_t count) {
  Exchange* exchanges[count];
  Command commands[count];
  for (uint32_t index = 0; index < count; index++)
    exchanges[index] = exchange_new(model, instance, requests[index], NULL);
  python_enter();
  for (uint32_t index = 0; index < count; index++) {
    commands[index] = ask_arrived(exchanges[index]);
    set_bound(exchanges[index], &commands[index]);
  }
  python_leave();
  for (uint32_t index = 0; index < count; index++) {
    start_bound(exchanges[index], &commands[index]);
    carry_out(exchanges[index], commands[index], requests[index]);
    leave(exchanges[index]);
  }
}

void measure(Model* model, const char* variant, PyObject* life, PyObject* attempt, Inputs* inputs) {
  Command command = {.kind = FORWARD, .text = strdup(variant), .life = owned(life), .attempt = owned(attempt)};
  Exchange* exchange = exchange_new(model, NULL, NULL, inputs);
  PyThreadState* state = python_release();
  carry_out(exchange, command, NULL);
  leave(exchange);
  python_resume(state);
}
