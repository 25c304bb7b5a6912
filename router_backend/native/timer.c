#define _GNU_SOURCE
#include "timer.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t earlier;
static Timer** heap; /* heap[1] is due first; heap[n] is not due after heap[2n] and heap[2n + 1] */
static size_t count, room;
static bool runs;

uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void put(Timer* timer, size_t position) {
  heap[position] = timer;
  timer->position = position;
}

static void settle(Timer* timer, size_t position) {
  for (; position > 1 && heap[position / 2]->due_ns > timer->due_ns; position /= 2)
    put(heap[position / 2], position);
  for (size_t child; (child = 2 * position) <= count; position = child) {
    if (child < count && heap[child + 1]->due_ns < heap[child]->due_ns) child++;
    if (heap[child]->due_ns >= timer->due_ns) break;
    put(heap[child], position);
  }
  put(timer, position);
}

static void take_out(Timer* timer) {
  size_t position = timer->position;
  Timer* last = heap[count--];
  if (last != timer) settle(last, position);
  timer->position = 0;
}

static void* run(void* unused) {
  pthread_mutex_lock(&mutex);
  for (;;) {
    if (count == 0) {
      pthread_cond_wait(&earlier, &mutex);
    } else if (heap[1]->due_ns > now_ns()) {
      struct timespec until = {(time_t)(heap[1]->due_ns / 1000000000u), (long)(heap[1]->due_ns % 1000000000u)};
      pthread_cond_timedwait(&earlier, &mutex, &until);
    } else {
      Timer* timer = heap[1];
      take_out(timer);
      pthread_mutex_unlock(&mutex);
      timer->fire(timer);
      pthread_mutex_lock(&mutex);
    }
  }
  return unused;
}

static void start_thread(void) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&earlier, &monotonic);
  pthread_t thread;
  runs = pthread_create(&thread, NULL, run, NULL) == 0;
  if (runs) pthread_detach(thread);
}

void timer_start(Timer* timer) {
  pthread_mutex_lock(&mutex);
  if (!runs) start_thread();
  if (count + 1 >= room) {
    room = room == 0 ? 64 : 2 * room;
    heap = realloc(heap, room * sizeof *heap);
  }
  settle(timer, ++count);
  if (timer->position == 1) pthread_cond_signal(&earlier);
  pthread_mutex_unlock(&mutex);
}

bool timer_stop(Timer* timer) {
  pthread_mutex_lock(&mutex);
  bool waited = timer->position != 0;
  if (waited) take_out(timer);
  pthread_mutex_unlock(&mutex);
  return waited;
}
