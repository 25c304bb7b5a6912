/* Cancellation by the client: Triton does not report it, so it is asked for from time to time. Measurements are
 * canceled when their router is unloaded. */
#define _GNU_SOURCE
#include "exchange.h"

static const uint64_t SWEEP_NS = 20000000; /* shorter requests are not worth asking for */
static pthread_mutex_t sweep_mutex = PTHREAD_MUTEX_INITIALIZER;
static Exchange* newest;
static void sweep(Timer* timer);
static Timer sweep_timer = {.fire = sweep};
static bool sweeps;

void cancel_open(Exchange* exchange) {
  pthread_mutex_lock(&exchange->mutex);
  atomic_store(&exchange->stopped, true);
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
    bool canceled = atomic_load(&each->model->closed);
    if (atomic_load(&each->stopped) || atomic_load(&each->answered)) continue;
    if (each->request != NULL) failed(TRITONBACKEND_RequestIsCancelled(each->request, &canceled));
    if (canceled) cancel_open(each);
  }
  start_sweep();
  pthread_mutex_unlock(&sweep_mutex);
  record_answered(); /* while other requests are unanswered, and none arrives */
}

void enlist(Exchange* exchange) {
  pthread_mutex_lock(&sweep_mutex);
  exchange->older = newest;
  if (newest != NULL) newest->newer = exchange;
  newest = exchange;
  if (!sweeps) start_sweep();
  pthread_mutex_unlock(&sweep_mutex);
}

void delist(Exchange* exchange) {
  pthread_mutex_lock(&sweep_mutex);
  if (exchange->older != NULL) exchange->older->newer = exchange->newer;
  if (exchange->newer != NULL) exchange->newer->older = exchange->older;
  if (newest == exchange) newest = exchange->older;
  pthread_mutex_unlock(&sweep_mutex);
}
