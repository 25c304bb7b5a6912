#define _GNU_SOURCE
#include "python.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

char* python_error_text(void) {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  PyObject* name = type == NULL ? NULL : PyObject_GetAttrString(type, "__name__");
  PyObject* text = value == NULL ? NULL : PyObject_Str(value);
  const char* bytes[] = {utf8(name), utf8(text)};
  char* copy = malloc(strlen(bytes[0]) + strlen(bytes[1]) + sizeof ": ");
  sprintf(copy, "%s: %s", bytes[0], bytes[1]);
  PyObject* owned[] = {name, text, type, value, traceback};
  for (size_t each = 0; each < sizeof owned / sizeof *owned; each++)
    if (owned[each] != NULL) Py_DecRef(owned[each]);
  PyErr_Clear();
  return copy;
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
  size_t length = 0;
  for (ssize_t got = 1; !failed && got > 0 && length < size - 1; length += got > 0 ? (size_t)got : 0)
    got = read(ends[0], answer + length, size - 1 - length);
  close(ends[0]);
  if (!failed) waitpid(child, NULL, 0);
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

static bool start(const char* executable, char* reason, size_t size) {
  char answer[4096];
  int major, minor, without_lock;
  if (ask(executable, answer, sizeof answer) == 0 ||
      sscanf(answer, "%d %d %d", &major, &minor, &without_lock) != 3) {
    snprintf(reason, size,
             "expected a Python that runs, found '%s', which does not: set "
             "--backend-config=router_backend,python=/path/to/python3",
             executable);
    return false;
  }
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
