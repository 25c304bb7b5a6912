#define _GNU_SOURCE
#include "python.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "timer.h"

extern char** environ;

#define DEFINE(result, name, arguments) result(*name) arguments;
PYTHON_FUNCTIONS(DEFINE)
#undef DEFINE
PyObject* python_none;
PyObject* python_runtime_error;

enum { OLDEST_MINOR = 10, NEWEST_MINOR = 13 };

/* What is asked of the executable: version, whether it has a GIL, its path, and where its libpython may be. */
static const char ABOUT[] =
    "import os, sys, sysconfig\n"
    "get = sysconfig.get_config_var\n"
    "name = f'libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0'\n"
    "folders = [str(get('LIBDIR')), os.path.join(sys.base_prefix, 'lib')]\n"
    "found = [path for path in (os.path.join(folder, name) for folder in folders) if os.path.exists(path)]\n"
    "print(sys.version_info[0], sys.version_info[1], int(bool(get('Py_GIL_DISABLED'))))\n"
    "print(sys.executable)\n"
    "print((found or [name])[0])\n";

static PyInterpreterState* interpreter;
static pthread_key_t thread_end;
static _Thread_local PyThreadState* own_state; /* of this thread: made once, since making one is slow */

static void delete_state(void* state) {
  PyEval_RestoreThread(state);
  PyThreadState_Clear(state);
  PyEval_SaveThread();
  PyThreadState_Delete(state);
}

void python_enter(void) {
  if (own_state == NULL) {
    own_state = PyThreadState_New(interpreter);
    pthread_setspecific(thread_end, own_state);
  }
  PyEval_RestoreThread(own_state);
}

void python_leave(void) { PyEval_SaveThread(); }

PyThreadState* python_release(void) {
  PyThreadState* before = own_state;
  own_state = PyEval_SaveThread(); /* a callback on this thread must use the same state */
  return before;
}

void python_resume(PyThreadState* before) {
  PyEval_RestoreThread(own_state);
  own_state = before;
}

static const char* utf8(PyObject* text) {
  const char* bytes = text == NULL ? NULL : PyUnicode_AsUTF8AndSize(text, NULL);
  return bytes == NULL ? "?" : bytes;
}

PyObject* python_error(void) {
  PyObject *type, *error, *traceback;
  PyErr_Fetch(&type, &error, &traceback);
  PyErr_NormalizeException(&type, &error, &traceback);
  if (traceback != NULL) PyException_SetTraceback(error, traceback);
  if (traceback != NULL) Py_DecRef(traceback);
  Py_DecRef(type);
  return error;
}

char* python_error_text(void) {
  PyObject* error = python_error();
  PyObject* type = PyObject_GetAttrString(error, "__class__");
  PyObject* name = PyObject_GetAttrString(type, "__name__");
  PyObject* text = PyObject_Str(error);
  const char* bytes[] = {utf8(name), utf8(text)};
  char* copy = malloc(strlen(bytes[0]) + strlen(bytes[1]) + sizeof ": ");
  sprintf(copy, "%s: %s", bytes[0], bytes[1]);
  PyObject* owned[] = {error, type, name, text};
  for (size_t each = 0; each < sizeof owned / sizeof *owned; each++)
    if (owned[each] != NULL) Py_DecRef(owned[each]);
  PyErr_Clear();
  return copy;
}

/* Read until the end, but not for longer than a Python needs to start; return the number of bytes. */
static size_t read_all(int from, char* bytes, size_t size) {
  const uint64_t LIMIT_NS = 10000000000u;
  struct pollfd readable = {.fd = from, .events = POLLIN};
  size_t length = 0;
  for (uint64_t until_ns = now_ns() + LIMIT_NS; length < size && now_ns() < until_ns;) {
    if (poll(&readable, 1, (int)((until_ns - now_ns()) / 1000000 + 1)) <= 0) continue;
    ssize_t got = read(from, bytes + length, size - length);
    if (got <= 0) return length;
    length += (size_t)got;
  }
  return length;
}

/* Run the executable and read what it prints; return the number of bytes. */
static size_t ask(const char* executable, char* answer, size_t size) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return 0; /* a process that Triton starts meanwhile must not keep it open */
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  char* arguments[] = {(char*)executable, "-c", (char*)ABOUT, NULL};
  pid_t child;
  int failed = posix_spawnp(&child, executable, &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  size_t length = failed ? 0 : read_all(ends[0], answer, size - 1);
  close(ends[0]);
  if (!failed) {
    kill(child, SIGKILL); /* it may not end by itself */
    waitpid(child, NULL, 0);
  }
  answer[length] = '\0';
  return length;
}

static bool find_functions(void* library, const char* path, char* reason, size_t size) {
  const char* missing = NULL;
#define FIND(result, name, arguments)            \
  *(void**)&name = dlsym(library, #name);        \
  if (name == NULL) missing = #name;
  PYTHON_FUNCTIONS(FIND)
#undef FIND
  python_none = dlsym(library, "_Py_NoneStruct");
  if (missing != NULL)
    snprintf(reason, size, "%s lacks the function %s: use another Python, or runtime: \"model.py\"", path, missing);
  return missing == NULL;
}

static bool runs_not(const char* executable, char* reason, size_t size) {
  snprintf(reason, size,
           "expected a Python that runs, found '%s', which does not: set "
           "--backend-config=router_backend,python=/path/to/python3",
           executable);
  return false;
}

static bool start(const char* executable, char* reason, size_t size) {
  char answer[4096];
  int major, minor, without_lock;
  if (ask(executable, answer, sizeof answer) == 0 ||
      sscanf(answer, "%d %d %d", &major, &minor, &without_lock) != 3)
    return runs_not(executable, reason, size);
  if (major != 3 || minor < OLDEST_MINOR || minor > NEWEST_MINOR || without_lock) {
    snprintf(reason, size,
             "expected Python 3.%d to 3.%d with a global interpreter lock, found %d.%d%s ('%s'): set "
             "--backend-config=router_backend,python=/path/to/python3",
             OLDEST_MINOR, NEWEST_MINOR, major, minor, without_lock ? " without one" : "", executable);
    return false;
  }
  char* rest;
  strtok_r(answer, "\n", &rest);
  const char* program = strtok_r(NULL, "\n", &rest);
  const char* path = strtok_r(NULL, "\n", &rest);
  if (path == NULL) return runs_not(executable, reason, size);
  /* Global, since Python's extension modules expect the functions of libpython to be there. */
  void* library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (library == NULL) {
    snprintf(reason, size,
             "expected the shared library of '%s', found none that can be loaded (%s): install your system's "
             "libpython package, or set --backend-config=router_backend,python=/path/to/python3",
             program, dlerror());
    return false;
  }
  if (!find_functions(library, path, reason, size)) return false;
  Py_SetProgramName(Py_DecodeLocale(program, NULL)); /* from this follow the folders of its packages */
  Py_InitializeEx(0);
  python_runtime_error = *(PyObject**)dlsym(library, "PyExc_RuntimeError");
  interpreter = PyInterpreterState_Get();
  pthread_key_create(&thread_end, delete_state);
  own_state = PyEval_SaveThread();
  return true;
}

bool python_start(const char* executable, char* reason, size_t size) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  bool started = interpreter != NULL || start(executable, reason, size);
  pthread_mutex_unlock(&mutex);
  return started;
}
