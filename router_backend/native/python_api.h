/* The part of Python's stable C API that the native host uses.
 *
 * The functions are found in libpython when the backend is loaded, since Triton loads a backend only if it has
 * no undefined symbols. All of them are in the limited API, so one library serves Python 3.10 and later.
 */
#ifndef ROUTER_PYTHON_API_H
#define ROUTER_PYTHON_API_H

#include <stddef.h>

typedef ptrdiff_t Py_ssize_t;
typedef struct _object PyObject;
typedef struct _ts PyThreadState;
typedef struct _is PyInterpreterState;

typedef PyObject* (*PyCFunction)(PyObject* module, PyObject* arguments);
typedef struct {
  const char* name;
  PyCFunction function;
  int flags;
  const char* doc;
} PyMethodDef;
enum { METH_VARARGS = 1 };
typedef struct {
  struct {
    Py_ssize_t reference_count;
    void* type;
    PyObject* (*init)(void);
    Py_ssize_t index;
    PyObject* copy;
  } base;
  const char* name;
  const char* doc;
  Py_ssize_t size;
  PyMethodDef* methods;
  void *slots, *traverse, *clear, *release;
} PyModuleDef;
enum { PYTHON_API_VERSION = 3 }; /* of the limited API */

#define PYTHON_FUNCTIONS(F)                                                        \
  F(wchar_t*, Py_DecodeLocale, (const char* text, size_t* size))                   \
  F(void, Py_SetProgramName, (const wchar_t* name))                                \
  F(void, Py_InitializeEx, (int install_signal_handlers))                          \
  F(int, Py_IsInitialized, (void))                                                 \
  F(PyThreadState*, PyEval_SaveThread, (void))                                     \
  F(void, PyEval_RestoreThread, (PyThreadState * state))                           \
  F(PyInterpreterState*, PyInterpreterState_Get, (void))                           \
  F(PyThreadState*, PyThreadState_New, (PyInterpreterState * interpreter))         \
  F(void, PyThreadState_Clear, (PyThreadState * state))                            \
  F(void, PyThreadState_Delete, (PyThreadState * state))                           \
  F(void, Py_IncRef, (PyObject * object))                                          \
  F(void, Py_DecRef, (PyObject * object))                                          \
  F(PyObject*, PyImport_ImportModule, (const char* name))                          \
  F(PyObject*, PyModule_Create2, (PyModuleDef * definition, int version))          \
  F(PyObject*, PySys_GetObject, (const char* name))                                \
  F(PyObject*, PyObject_GetAttrString, (PyObject * object, const char* name))      \
  F(PyObject*, PyObject_CallMethod, (PyObject * object, const char* name, const char* format, ...)) \
  F(PyObject*, PyObject_CallMethodObjArgs, (PyObject * object, PyObject * name, ...)) \
  F(PyObject*, PyObject_Str, (PyObject * object))                                  \
  F(PyObject*, PyUnicode_InternFromString, (const char* text))                     \
  F(PyObject*, PyUnicode_DecodeUTF8, (const char* text, Py_ssize_t size, const char* errors)) \
  F(const char*, PyUnicode_AsUTF8AndSize, (PyObject * text, Py_ssize_t * size))    \
  F(PyObject*, PyLong_FromUnsignedLongLong, (unsigned long long value))            \
  F(PyObject*, PyLong_FromLongLong, (long long value))                             \
  F(PyObject*, PyLong_FromVoidPtr, (void* value))                                  \
  F(void*, PyLong_AsVoidPtr, (PyObject * value))                                   \
  F(long long, PyLong_AsLongLong, (PyObject * value))                              \
  F(PyObject*, PyBool_FromLong, (long value))                                      \
  F(PyObject*, PyFloat_FromDouble, (double value))                                 \
  F(double, PyFloat_AsDouble, (PyObject * value))                                  \
  F(PyObject*, PyDict_New, (void))                                                 \
  F(int, PyDict_SetItem, (PyObject * dict, PyObject * key, PyObject * value))       \
  F(PyObject*, PyTuple_GetItem, (PyObject * tuple, Py_ssize_t index))              \
  F(Py_ssize_t, PyTuple_Size, (PyObject * tuple))                                  \
  F(PyObject*, PyList_GetItem, (PyObject * list, Py_ssize_t index))                \
  F(Py_ssize_t, PyList_Size, (PyObject * list))                                    \
  F(int, PyList_Append, (PyObject * list, PyObject * item))                        \
  F(int, PyArg_ParseTuple, (PyObject * arguments, const char* format, ...))        \
  F(PyObject*, PyErr_Occurred, (void))                                             \
  F(void, PyErr_Fetch, (PyObject * *type, PyObject * *value, PyObject * *traceback)) \
  F(void, PyErr_NormalizeException, (PyObject * *type, PyObject * *value, PyObject * *traceback)) \
  F(void, PyErr_Clear, (void))                                                     \
  F(int, PyException_SetTraceback, (PyObject * error, PyObject * traceback))       \
  F(void, PyErr_SetString, (PyObject * type, const char* message))

#define DECLARE(result, name, arguments) extern result(*name) arguments;
PYTHON_FUNCTIONS(DECLARE)
#undef DECLARE

/* Python's None and RuntimeError. */
extern PyObject* python_none;
extern PyObject* python_runtime_error;

#endif
