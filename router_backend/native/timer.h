/* Timers, fired by one thread of the process. */
#ifndef ROUTER_TIMER_H
#define ROUTER_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Timer Timer;
struct Timer {
  uint64_t due_ns;
  void (*fire)(Timer* timer);
  size_t position; /* in the heap, from 1 on; 0 if it is not there */
};

/* The monotonic clock, which Triton's statistics use as well. */
uint64_t now_ns(void);

/* Call `fire` once `due_ns` has passed. */
void timer_start(Timer* timer);

/* Return whether the timer was waiting; if not, it has fired, or is about to. */
bool timer_stop(Timer* timer);

#endif
