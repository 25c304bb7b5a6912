/* The life of a client's request: what Python decides about it is carried out here.
 *
 * Python is asked when a request arrives, when an attempt ends and when a bound passes. It answers with a
 * command. No call to Triton is made while Python's lock is held. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "exchange.h"

/* One thread at a time asks Python: waiting for this mutex costs less than waiting for Python's own lock.
 *
 * A thread that brings an answer is its variant's, which serves nobody else meanwhile. So it does not wait for a turn,
 * and while other requests are unanswered, it leaves the record to the next thread that arrives with a request. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(Attempt*) answered; /* those that wait to be recorded, the last one first */

static void take_turn(void) {
  pthread_mutex_lock(&turn);
  python_enter();
}

static void end_turn(void) {
  python_leave();
  pthread_mutex_unlock(&turn);
}

static void stop_timer(Exchange* exchange, Timer* timer, PyObject** asked) {
  if (*asked == NULL || !timer_stop(timer)) return;
  Py_DecRef(*asked);
  *asked = NULL;
  atomic_fetch_sub(&exchange->references, 1); /* never the last one: the caller has one, too */
}

/* The request has its answer, so no bound applies to it any more, and no second copy is sent. */
static void stop_timers(Exchange* exchange) {
  stop_timer(exchange, &exchange->timer, &exchange->bound);
  stop_timer(exchange, &exchange->hedge_timer, &exchange->hedge);
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
  delist(exchange);
  if (exchange->request != NULL) {
    refuse(exchange, ERROR_INTERNAL, "defect in the router: the request ended without an answer"); /* unless it has one */
    report_statistics(exchange);
    atomic_fetch_sub(&exchange->model->in_flight, 1); /* only now, since its inputs were held until now */
    failed(TRITONBACKEND_RequestRelease(exchange->request, RELEASE_ALL));
  } else {
    model_leave(exchange->model);
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
  if (request != NULL) atomic_fetch_add(&model->unanswered, 1);
  atomic_fetch_add(request != NULL ? &model->in_flight : &model->references, 1);
  enlist(exchange);
  return exchange;
}

/* ---- Attempts ---- */

static void carry_out(Exchange* exchange, Command command, Request* like);

/* Triton cancels only what was sent, so the list has no other attempts: cancel this one if that is late. */
static void add_open(Exchange* exchange, Attempt* attempt) {
  pthread_mutex_lock(&exchange->mutex);
  if (atomic_load(&exchange->stopped) || attempt->is_overdue)
    failed(TRITONSERVER_InferenceRequestCancel(attempt->request));
  attempt->next = exchange->open;
  attempt->link = &exchange->open;
  if (attempt->next != NULL) attempt->next->link = &attempt->next;
  exchange->open = attempt;
  pthread_mutex_unlock(&exchange->mutex);
}

static void remove_open(Exchange* exchange, Attempt* attempt) {
  pthread_mutex_lock(&exchange->mutex);
  if (attempt->link != NULL) *attempt->link = attempt->next;
  if (attempt->next != NULL) attempt->next->link = attempt->link;
  pthread_mutex_unlock(&exchange->mutex);
}

static void cancel_overdue(Attempt* attempt) {
  pthread_mutex_lock(&attempt->exchange->mutex);
  attempt->is_overdue = true;
  if (attempt->link != NULL) failed(TRITONSERVER_InferenceRequestCancel(attempt->request));
  pthread_mutex_unlock(&attempt->exchange->mutex);
}

static void leave_attempt(Attempt* attempt) {
  if (atomic_fetch_sub(&attempt->references, 1) > 1) return;
  Exchange* exchange = attempt->exchange;
  remove_open(exchange, attempt);
  failed(TRITONSERVER_InferenceRequestDelete(attempt->request));
  free(attempt);
  leave(exchange);
}

static void stop_attempt_timer(Attempt* attempt) {
  if (timer_stop(&attempt->timer)) atomic_fetch_sub(&attempt->references, 1); /* never the last one */
}

static void on_release(ServerRequest* request, uint32_t flags, void* user) {
  (void)request;
  if (flags & RELEASE_ALL) leave_attempt(user);
}

/* Expects Python's lock. */
static Command record(Attempt* attempt) {
  stop_timers(attempt->exchange);
  return ask_answered(attempt);
}

static void record_later(Attempt* attempt) {
  atomic_fetch_add(&attempt->references, 1);
  attempt->waiting = atomic_load(&answered);
  while (!atomic_compare_exchange_weak(&answered, &attempt->waiting, attempt)) {
  }
}

static Attempt* take_answered(void) {
  Attempt* first = NULL;
  for (Attempt *each = atomic_exchange(&answered, NULL), *next; each != NULL; each = next) {
    next = each->waiting;
    each->waiting = first;
    first = each;
  }
  return first;
}

/* Record what waits. Expects the turn without Python's lock, and ends it. */
static void record_in_turn(void) {
  Attempt* first = take_answered();
  python_enter();
  for (Attempt* each = first; each != NULL; each = each->waiting) each->command = record(each);
  end_turn();
  for (Attempt *each = first, *next; each != NULL; each = next) {
    next = each->waiting;
    carry_out(each->exchange, each->command, each->exchange->request);
    leave_attempt(each);
  }
}

/* Record what waits, unless another thread has its turn: that one calls this afterwards. */
void record_answered(void) {
  while (atomic_load(&answered) != NULL && pthread_mutex_trylock(&turn) == 0) record_in_turn();
}

/* Record what waits before a decision, which must know that the variants are free again. */
static void record_before(void) {
  if (atomic_load(&answered) == NULL) return;
  pthread_mutex_lock(&turn);
  record_in_turn();
}

/* Another variant gets the request. What its client reads is its own copy, so this call may go on. */
static void on_overdue(Timer* timer) {
  Attempt* attempt = (Attempt*)((char*)timer - offsetof(Attempt, timer));
  Exchange* exchange = attempt->exchange;
  take_turn();
  Command command = ask_overdue(attempt);
  if (command.kind == REFUSE) stop_timers(exchange);
  bool asks_again = command.kind == WAIT && !atomic_load(&exchange->stopped);
  if (asks_again) {
    timer->due_ns = now_ns() + (uint64_t)(command.wait_ms * 1e6);
    timer_start(timer); /* keeps its reference */
  }
  end_turn();
  if (asks_again) return;
  if (command.kind == FORWARD || command.kind == CANCEL) cancel_overdue(attempt);
  carry_out(exchange, command, exchange->request);
  leave_attempt(attempt);
  record_answered();
}

static void on_success(Attempt* attempt, ServerResponse* response) {
  Exchange* exchange = attempt->exchange;
  char* decision = NULL;
  Command command = {.kind = NOTHING};
  bool is_recorded = attempt->explains || attempt->records_first;
  if (is_recorded) {
    take_turn();
    if (attempt->explains) decision = ask_explanation(attempt);
    command = record(attempt);
    end_turn();
  }
  answer(exchange, response, decision);
  if (atomic_load(&exchange->hedged)) cancel_open(exchange);
  free(decision);
  failed(TRITONSERVER_InferenceResponseDelete(response));
  if (!is_recorded) record_later(attempt); /* the client need not wait for it */
  carry_out(exchange, command, exchange->request);
}

static void on_failure(Attempt* attempt, ErrorCode code, const char* message) {
  Exchange* exchange = attempt->exchange;
  record_before();
  take_turn();
  Command command = ask_failed(attempt, code, message, true);
  if (command.kind == REFUSE) stop_timers(exchange);
  end_turn();
  carry_out(exchange, command, exchange->request);
}

static void on_response(ServerResponse* response, uint32_t flags, void* user) {
  Attempt* attempt = user;
  if (!attempt->reported && (response != NULL || flags & RESPONSE_FINAL)) {
    attempt->reported = true;
    attempt->ended_ns = now_ns();
    stop_attempt_timer(attempt);
    Error* error = response == NULL ? TRITONSERVER_ErrorNew(ERROR_INTERNAL, "the variant ended without an answer")
                                    : TRITONSERVER_InferenceResponseError(response);
    char wrong[512];
    if (error == NULL && is_wrong(attempt, response, wrong, sizeof wrong)) {
      on_failure(attempt, ERROR_WRONG_ANSWER, wrong);
    } else if (error == NULL) {
      on_success(attempt, response);
      response = NULL;
    } else {
      on_failure(attempt, TRITONSERVER_ErrorCode(error), TRITONSERVER_ErrorMessage(error));
      TRITONSERVER_ErrorDelete(error);
    }
  }
  if (response != NULL) failed(TRITONSERVER_InferenceResponseDelete(response));
  bool is_last = atomic_load(&attempt->exchange->model->unanswered) == 0;
  if (flags & RESPONSE_FINAL) leave_attempt(attempt);
  if (is_last) record_answered();
}

/* Send a request to a variant. On an error nothing was sent, and the attempt is to be reported and freed. */
static Error* send(Exchange* exchange, Attempt* attempt, const char* variant, Request* like, bool* reached) {
  Error* error = TRITONSERVER_InferenceRequestNew(&attempt->request, server, variant, LATEST_VERSION);
  *reached = error == NULL;
  if (error == NULL && atomic_load(&exchange->stopped))
    error = TRITONSERVER_ErrorNew(ERROR_CANCELLED, "canceled before it was sent");
  if (error != NULL) return error;
  ServerRequest* to = attempt->request;
  error = fill(exchange, to, like);
  if (error == NULL) error = TRITONSERVER_InferenceRequestSetReleaseCallback(to, on_release, attempt);
  if (error == NULL)
    error = TRITONSERVER_InferenceRequestSetResponseCallback(to, allocator, NULL, on_response, attempt);
  if (error == NULL) error = TRITONSERVER_ServerInferAsync(server, to, child_trace(exchange));
  if (error == NULL) add_open(exchange, attempt);
  return error;
}

static Attempt* attempt_new(Exchange* exchange, const Command* command) {
  Attempt* attempt = calloc(1, sizeof *attempt);
  attempt->exchange = exchange;
  attempt->listener = command->listener;
  attempt->attempt = command->attempt;
  attempt->explains = command->flags & EXPLAINS;
  attempt->records_first = command->flags & RECORDS_FIRST;
  atomic_init(&attempt->references, 3);
  attempt->sent_ns = now_ns();
  attempt->timer.fire = on_overdue;
  attempt->timer.due_ns = attempt->sent_ns + (uint64_t)(command->overdue_ms * 1e6);
  if (exchange->sent_ns == 0) exchange->sent_ns = attempt->sent_ns;
  atomic_fetch_add(&exchange->references, 1);
  return attempt;
}

/* Longer times never pass, and may not fit into a clock's number. */
static const double YEAR_MS = 365.0 * 24 * 3600 * 1e3;

static bool may_be_overdue(const Exchange* exchange, const Command* command) {
  return command->overdue_ms > 0 && command->overdue_ms < YEAR_MS && !exchange->lent;
}

/* Forward a request; return what to do if it could not be sent. */
static Command forward(Exchange* exchange, const Command* command, Request* like) {
  Attempt* attempt = attempt_new(exchange, command);
  bool reached;
  if (may_be_overdue(exchange, command)) { /* before it is sent: it may end at once */
    atomic_fetch_add(&attempt->references, 1);
    timer_start(&attempt->timer);
  }
  Error* error = send(exchange, attempt, command->text, like, &reached);
  if (error == NULL) {
    leave_attempt(attempt);
    return (Command){.kind = NOTHING};
  }
  attempt->ended_ns = now_ns();
  stop_attempt_timer(attempt);
  take_turn();
  Command next = ask_failed(attempt, TRITONSERVER_ErrorCode(error), TRITONSERVER_ErrorMessage(error), reached);
  end_turn();
  TRITONSERVER_ErrorDelete(error);
  atomic_fetch_sub(&attempt->references, 2); /* it has none of its two ends */
  leave_attempt(attempt);
  return next;
}

static void on_bound(Timer* timer);
static void on_hedge(Timer* timer);

/* Expects Python's lock. */
static void set_timer(Exchange* exchange, const Command* command, double after_ms, Timer* timer, PyObject** asked) {
  if (command->kind != FORWARD || after_ms <= 0 || after_ms > YEAR_MS) return;
  *asked = owned(command->listener);
  timer->due_ns = exchange->arrived_ns + (uint64_t)(after_ms * 1e6);
}

/* Expects Python's lock. */
static void set_timers(Exchange* exchange, const Command* command) {
  exchange->timer.fire = on_bound;
  exchange->hedge_timer.fire = on_hedge;
  set_timer(exchange, command, command->bound_ms, &exchange->timer, &exchange->bound);
  set_timer(exchange, command, command->hedge_ms, &exchange->hedge_timer, &exchange->hedge);
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
  take_turn();
  Command command = {.kind = NOTHING};
  if (!atomic_load(&exchange->answered))
    command = command_of(PyObject_CallMethodObjArgs(exchange->bound, names.bound_passed, NULL));
  Py_DecRef(exchange->bound);
  end_turn();
  bool refused = command.kind == REFUSE;
  carry_out(exchange, command, exchange->request);
  if (refused) cancel_open(exchange);
  leave(exchange);
  record_answered();
}

/* Send a second copy of a request that is slow, or ask again later. */
static void on_hedge(Timer* timer) {
  Exchange* exchange = (Exchange*)((char*)timer - offsetof(Exchange, hedge_timer));
  Command command = {.kind = NOTHING};
  take_turn();
  if (!atomic_load(&exchange->answered) && !atomic_load(&exchange->stopped)) command = ask_slow(exchange);
  if (command.kind == WAIT) {
    timer->due_ns = exchange->arrived_ns + (uint64_t)(command.wait_ms * 1e6);
    timer_start(timer);
    end_turn();
    return;
  }
  Py_DecRef(exchange->hedge);
  exchange->hedge = NULL;
  end_turn();
  if (command.kind == FORWARD) atomic_store(&exchange->hedged, true);
  carry_out(exchange, command, exchange->request);
  leave(exchange);
  record_answered();
}

static void start_timer(Exchange* exchange, Timer* timer, PyObject** asked) {
  if (*asked == NULL) return;
  if (exchange->inputs != NULL && !atomic_load(&exchange->answered)) {
    atomic_fetch_add(&exchange->references, 1);
    timer_start(timer);
    return;
  }
  take_turn();
  Py_DecRef(*asked);
  *asked = NULL;
  end_turn();
}

/* A request that cannot be copied has no bound: its variant may read it until it ends. */
static void start_bound(Exchange* exchange, const Command* command) {
  if (command->kind != FORWARD) return;
  if (command->flags & KEEPS_INPUTS) {
    exchange->inputs = inputs_copied(exchange->request);
    exchange->lent = exchange->inputs == NULL;
  }
  start_timer(exchange, &exchange->timer, &exchange->bound);
}

/* Decide about all requests of a batch before any of them is sent, since Python's lock is taken once then. */
void requests_arrived(Model* model, Instance* instance, Request** requests, uint32_t count) {
  Exchange* exchanges[count];
  Command commands[count];
  record_before();
  for (uint32_t index = 0; index < count; index++)
    exchanges[index] = exchange_new(model, instance, requests[index], NULL);
  take_turn();
  for (uint32_t index = 0; index < count; index++) {
    commands[index] = ask_arrived(exchanges[index]);
    set_timers(exchanges[index], &commands[index]);
  }
  end_turn();
  for (uint32_t index = 0; index < count; index++) {
    start_bound(exchanges[index], &commands[index]);
    carry_out(exchanges[index], commands[index], requests[index]);
    start_timer(exchanges[index], &exchanges[index]->hedge_timer, &exchanges[index]->hedge); /* once the first is sent */
    leave(exchanges[index]);
  }
  record_answered();
}

void measure(
    Model* model, const char* variant, PyObject* listener, PyObject* attempt, double overdue_ms, Inputs* inputs) {
  Command command = {
      .kind = FORWARD, .text = strdup(variant), .listener = owned(listener), .attempt = owned(attempt),
      .overdue_ms = overdue_ms};
  Exchange* exchange = exchange_new(model, NULL, NULL, inputs);
  PyThreadState* state = python_release();
  carry_out(exchange, command, NULL);
  leave(exchange);
  record_answered();
  python_resume(state);
}
