/* What Python may call, and how Python's side is loaded. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

static PyObject* host; /* the module router_backend.native.host */
Names names;

/* ---- What Python may call ---- */

static PyObject* none(void) {
  Py_IncRef(python_none);
  return python_none;
}

/* Return None, or raise an error of Triton, which is consumed. */
static PyObject* none_or_raise(Error* error) {
  if (error == NULL) return none();
  PyErr_SetString(python_runtime_error, TRITONSERVER_ErrorMessage(error));
  TRITONSERVER_ErrorDelete(error);
  return NULL;
}

static PyObject* log_message(PyObject* module, PyObject* arguments) {
  int level;
  const char* text;
  (void)module;
  if (!PyArg_ParseTuple(arguments, "is", &level, &text)) return NULL;
  return none_or_raise(TRITONSERVER_LogMessage((LogLevel)level, "router_backend", 0, text));
}

static PyObject* is_ready(PyObject* module, PyObject* arguments) {
  const char* name;
  (void)module;
  if (!PyArg_ParseTuple(arguments, "s", &name)) return NULL;
  bool ready = false;
  PyThreadState* state = python_release();
  bool accepts_requests = !failed(TRITONSERVER_ServerModelIsReady(server, name, LATEST_VERSION, &ready));
  python_resume(state);
  return accepts_requests ? PyBool_FromLong(ready) : none();
}

static PyObject* change_model(PyObject* arguments, Error* (*change)(Server*, const char*)) {
  const char* name;
  if (!PyArg_ParseTuple(arguments, "s", &name)) return NULL;
  PyThreadState* state = python_release();
  Error* error = change(server, name);
  python_resume(state);
  return none_or_raise(error);
}

static PyObject* load_model(PyObject* module, PyObject* arguments) {
  (void)module;
  return change_model(arguments, TRITONSERVER_ServerLoadModel);
}

static PyObject* unload_model(PyObject* module, PyObject* arguments) {
  (void)module;
  return change_model(arguments, TRITONSERVER_ServerUnloadModel);
}

static PyObject* metric_family(PyObject* module, PyObject* arguments) {
  int kind;
  const char *name, *help;
  MetricFamily* family;
  (void)module;
  if (!PyArg_ParseTuple(arguments, "iss", &kind, &name, &help)) return NULL;
  Error* error = TRITONSERVER_MetricFamilyNew(&family, (MetricKind)kind, name, help);
  return error == NULL ? PyLong_FromVoidPtr(family) : none_or_raise(error);
}

/* metric(family, names, values): two tuples of strings */
static PyObject* metric(PyObject* module, PyObject* arguments) {
  enum { MOST_LABELS = 16 };
  PyObject *family, *keys, *values;
  (void)module;
  if (!PyArg_ParseTuple(arguments, "OOO", &family, &keys, &values)) return NULL;
  Parameter* labels[MOST_LABELS];
  Py_ssize_t count = PyTuple_Size(keys) < MOST_LABELS ? PyTuple_Size(keys) : MOST_LABELS;
  for (Py_ssize_t index = 0; index < count; index++)
    labels[index] = TRITONSERVER_ParameterNew(
        PyUnicode_AsUTF8AndSize(PyTuple_GetItem(keys, index), NULL), PARAMETER_STRING,
        PyUnicode_AsUTF8AndSize(PyTuple_GetItem(values, index), NULL));
  Metric* made;
  Error* error =
      TRITONSERVER_MetricNew(&made, PyLong_AsVoidPtr(family), (const Parameter**)labels, (uint64_t)count);
  for (Py_ssize_t index = 0; index < count; index++) TRITONSERVER_ParameterDelete(labels[index]);
  return error == NULL ? PyLong_FromVoidPtr(made) : none_or_raise(error);
}

static PyObject* metric_change(PyObject* arguments, Error* (*change)(Metric*, double)) {
  PyObject* changed;
  double value;
  if (!PyArg_ParseTuple(arguments, "Od", &changed, &value)) return NULL;
  return none_or_raise(change(PyLong_AsVoidPtr(changed), value));
}

static PyObject* metric_increment(PyObject* module, PyObject* arguments) {
  (void)module;
  return metric_change(arguments, TRITONSERVER_MetricIncrement);
}

static PyObject* metric_set(PyObject* module, PyObject* arguments) {
  (void)module;
  return metric_change(arguments, TRITONSERVER_MetricSet);
}

static bool add_input(Inputs* inputs, PyObject* described) {
  enum { MOST_DIMS = 64 };
  const char *name, *type;
  PyObject* shape;
  Py_ssize_t size;
  int64_t dims[MOST_DIMS];
  if (!PyArg_ParseTuple(described, "ssOn", &name, &type, &shape, &size)) return false;
  uint32_t count = 0;
  for (; count < MOST_DIMS && (Py_ssize_t)count < PyTuple_Size(shape); count++)
    dims[count] = PyLong_AsLongLong(PyTuple_GetItem(shape, count));
  return inputs_add(inputs, name, TRITONSERVER_StringToDataType(type), dims, count, (size_t)size, true);
}

/* measure(model, variant, listener, attempt, overdue_ms, inputs): inputs is a list of (name, data type, shape, bytes) */
static PyObject* measure_variant(PyObject* module, PyObject* arguments) {
  PyObject *model, *listener, *attempt, *described;
  const char* variant;
  double overdue_ms;
  (void)module;
  if (!PyArg_ParseTuple(arguments, "OsOOdO", &model, &variant, &listener, &attempt, &overdue_ms, &described)) return NULL;
  Inputs* inputs = inputs_new((uint32_t)PyList_Size(described));
  for (Py_ssize_t index = 0; index < PyList_Size(described); index++) {
    if (!add_input(inputs, PyList_GetItem(described, index))) {
      inputs_free(inputs);
      if (PyErr_Occurred() == NULL) PyErr_SetString(python_runtime_error, "no memory for the inputs of a measurement");
      return NULL;
    }
  }
  measure(PyLong_AsVoidPtr(model), variant, listener, attempt, overdue_ms, inputs);
  return none();
}

static PyMethodDef FUNCTIONS[] = {
    {"log", log_message, METH_VARARGS, NULL},
    {"is_ready", is_ready, METH_VARARGS, NULL},
    {"load_model", load_model, METH_VARARGS, NULL},
    {"unload_model", unload_model, METH_VARARGS, NULL},
    {"metric_family", metric_family, METH_VARARGS, NULL},
    {"metric", metric, METH_VARARGS, NULL},
    {"metric_increment", metric_increment, METH_VARARGS, NULL},
    {"metric_set", metric_set, METH_VARARGS, NULL},
    {"measure", measure_variant, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyModuleDef MODULE = {.base = {.reference_count = 1}, .name = "triton_server", .size = -1, .methods = FUNCTIONS};

/* ---- Python's side ---- */

static const char* constant(const char* name) {
  PyObject* value = PyObject_GetAttrString(host, name); /* never freed */
  return value == NULL ? NULL : PyUnicode_AsUTF8AndSize(value, NULL);
}

static bool read_names(void) {
  names.arrived = PyUnicode_InternFromString("arrived");
  names.answered = PyUnicode_InternFromString("answered");
  names.explain = PyUnicode_InternFromString("explain");
  names.failed = PyUnicode_InternFromString("failed");
  names.overdue = PyUnicode_InternFromString("overdue");
  names.bound_passed = PyUnicode_InternFromString("bound_passed");
  names.slow = PyUnicode_InternFromString("slow");
  names.decision_output = constant("DECISION_OUTPUT_NAME");
  names.parameter_prefix = constant("PREFIX");
  return names.decision_output != NULL && names.parameter_prefix != NULL;
}

/* Put the folder of the package on Python's path, last. */
static bool add_to_path(const char* backend_folder) {
  char* folder = realpath(backend_folder, NULL);
  if (folder == NULL) return false;
  *strrchr(folder, '/') = '\0';
  PyObject* text = PyUnicode_DecodeUTF8(folder, (Py_ssize_t)strlen(folder), "surrogateescape");
  PyList_Append(PySys_GetObject("path"), text);
  Py_DecRef(text);
  free(folder);
  return true;
}

static bool load(const char* folder) {
  if (!add_to_path(folder)) return false;
  host = PyImport_ImportModule("router_backend.native.host");
  if (host == NULL || !read_names()) return false;
  PyObject* started = PyObject_CallMethod(host, "start", "N", PyModule_Create2(&MODULE, PYTHON_API_VERSION));
  if (started != NULL) Py_DecRef(started);
  return started != NULL;
}

bool host_start(const char* executable, const char* folder, char* reason, size_t size) {
  if (!python_start(executable, reason, size)) return false;
  python_enter();
  bool loaded = host != NULL || load(folder);
  if (!loaded) {
    char* text = python_error_text();
    snprintf(reason, size, "the Python of the router cannot be loaded by '%s': %s", executable, text);
    free(text);
    host = NULL;
  }
  python_leave();
  return loaded;
}

/* Keep the outputs that variants must answer: a tuple of (name, data type, optional). */
static void keep_outputs(Model* model, PyObject* outputs) {
  model->output_count = (uint32_t)PyTuple_Size(outputs);
  model->outputs = calloc(model->output_count + 1, sizeof *model->outputs);
  for (uint32_t index = 0; index < model->output_count; index++) {
    PyObject* output = PyTuple_GetItem(outputs, index);
    model->outputs[index] = (ExpectedOutput){
        strdup(PyUnicode_AsUTF8AndSize(PyTuple_GetItem(output, 0), NULL)),
        TRITONSERVER_StringToDataType(PyUnicode_AsUTF8AndSize(PyTuple_GetItem(output, 1), NULL)),
        PyLong_AsLongLong(PyTuple_GetItem(output, 2)) != 0};
  }
}

static void forget_outputs(Model* model) {
  for (uint32_t index = 0; index < model->output_count; index++) free(model->outputs[index].name);
  free(model->outputs);
}

bool host_load(Model* model, const char* config_json, const char* folder, bool completes, char** completed, char** reason) {
  python_enter();
  PyObject* result = PyObject_CallMethod(
      host, "load", "NssN", PyLong_FromVoidPtr(model), config_json, folder, PyBool_FromLong(completes));
  if (result == NULL) {
    *reason = python_error_text();
  } else {
    model->router = PyTuple_GetItem(result, 0);
    Py_IncRef(model->router);
    model->batched = PyLong_AsLongLong(PyTuple_GetItem(result, 1)) != 0;
    *completed = strdup(PyUnicode_AsUTF8AndSize(PyTuple_GetItem(result, 2), NULL));
    keep_outputs(model, PyTuple_GetItem(result, 3));
    Py_DecRef(result);
  }
  python_leave();
  return result != NULL;
}

PyObject* host_defect(void) {
  return PyObject_CallMethod(host, "defect", "N", python_error());
}

static void call(Model* model, const char* method, const char* argument) {
  PyObject* result = argument == NULL ? PyObject_CallMethod(model->router, method, NULL)
                                      : PyObject_CallMethod(model->router, method, "s", argument);
  if (result != NULL) {
    Py_DecRef(result);
    return;
  }
  char* text = python_error_text();
  failed(TRITONSERVER_LogMessage(LOG_ERROR, "router_backend", 0, text));
  free(text);
}

void host_start_model(Model* model, const char* instance_name) {
  python_enter();
  call(model, "start", instance_name);
  python_leave();
}

void host_close(Model* model) {
  python_enter();
  atomic_store(&model->closed, true);
  call(model, "close", NULL);
  python_leave();
  model_leave(model);
}

void model_leave(Model* model) {
  if (atomic_fetch_sub(&model->references, 1) > 1) return;
  python_enter();
  Py_DecRef(model->router);
  python_leave();
  forget_outputs(model);
  free(model);
}
