/* The Python interpreter in the server's process. */
#ifndef ROUTER_PYTHON_H
#define ROUTER_PYTHON_H

#include <stdbool.h>
#include <stddef.h>

#include "python_api.h"

/* Load libpython and start the interpreter, once per process; return false with the reason if that fails.
 *
 * `executable` is the Python whose libraries and packages are used. */
bool python_start(const char* executable, char* reason, size_t size);

/* Take and give back Python's lock (GIL) in a thread that Python did not start. */
void python_enter(void);
void python_leave(void);

/* Give back the lock within a function that Python called, and take it again. */
PyThreadState* python_release(void);
void python_resume(PyThreadState* state);

/* Clear the error that is set, and return it. */
PyObject* python_error(void);
/* Clear the error that is set, and return its kind and text, to be freed. */
char* python_error_text(void);

#endif
