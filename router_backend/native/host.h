/* What the files of the native host share. */
#ifndef ROUTER_HOST_H
#define ROUTER_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "python.h"
#include "timer.h"
#include "triton_api.h"

/* An output that a variant must answer, unless it is optional. */
typedef struct {
  char* name;
  DataType type;
  bool optional;
} ExpectedOutput;

/* A router model. `router` is the Python object that decides; see host.py.
 *
 * It outlives its unloading while a variant holds a measurement, whose end is not reported then. */
typedef struct {
  PyObject* router;
  bool batched;
  ExpectedOutput* outputs;
  uint32_t output_count;
  atomic_bool closed;
  atomic_int references;      /* Triton's, and one for each measurement that is not released yet */
  atomic_int in_flight;       /* requests of clients that are not released yet */
  atomic_int unanswered;      /* those of them without an answer */
  atomic_bool started;
} Model;

/* Own copies of the inputs of a request. */
typedef struct Inputs Inputs;

/* Names that both languages use, read from host.py. */
typedef struct {
  PyObject *arrived, *answered, *explain, *failed, *overdue, *bound_passed, *slow; /* methods */
  const char *decision_output, *parameter_prefix;
} Names;
extern Names names;
extern Server* server;

/* host_module.c: start Python's side. `folder` is that of the backend. Return false with the reason. */
bool host_start(const char* executable, const char* folder, char* reason, size_t size);
/* The router of a model, Python's object. `completed` is its configuration, to be freed. Return false with the
 * reason, to be freed. */
bool host_load(Model* model, const char* config_json, const char* folder, bool completes, char** completed, char** reason);
void host_start_model(Model* model, const char* instance_name);
void host_close(Model* model); /* takes over Triton's reference */
void model_leave(Model* model);
/* Expects Python's lock, and an error that is set: clear it and log it; return the command that it leads to. */
PyObject* host_defect(void);

/* request.c */
Error* requests_start(void);
void requests_arrived(Model* model, Instance* instance, Request** requests, uint32_t count);
/* Expects Python's lock. Send a request of the router's own; takes over `inputs`. */
void measure(
    Model* model, const char* variant, PyObject* listener, PyObject* attempt, double overdue_ms, Inputs* inputs);

/* inputs.c */
Inputs* inputs_new(uint32_t count);
/* Add an input of zeros, or one that is still to be written. */
bool inputs_add(
    Inputs* inputs, const char* name, DataType type, const int64_t* shape, uint32_t dims, size_t size, bool zeros);
Inputs* inputs_copied(Request* request); /* NULL if they are not in the memory of the CPU */
Inputs* inputs_shared(Inputs* inputs);
void inputs_free(Inputs* inputs);
Error* inputs_append(Inputs* inputs, ServerRequest* to);
Error* inputs_lend(Request* from, ServerRequest* to);

/* Forget an error; return whether there was one. */
static inline bool failed(Error* error) {
  if (error == NULL) return false;
  TRITONSERVER_ErrorDelete(error);
  return true;
}

#endif
