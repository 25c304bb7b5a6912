/* A request at the router, and its requests to variants. */
#ifndef ROUTER_EXCHANGE_H
#define ROUTER_EXCHANGE_H

#include "host.h"

typedef struct Attempt Attempt;

/* A request at the router: a client's, or one of the router's own, which has no `request`. */
typedef struct Exchange Exchange;
struct Exchange {
  Model* model;
  Instance* instance;
  Request* request;
  Inputs* inputs;        /* own copies; NULL if the client's buffers are lent */
  atomic_int references; /* who still works on it: attempts, a timer, and the one that started it */
  atomic_bool answered;
  bool succeeded;
  bool lent; /* its inputs are the client's and cannot be copied: its calls have no bound */
  uint64_t batch_size, arrived_ns, sent_ns, ended_ns;
  Timer timer;
  PyObject* bound; /* what the timer asks; NULL if it is not set */
  Timer hedge_timer;
  PyObject* hedge; /* what that timer asks about a second copy; NULL if it is not set */
  atomic_bool hedged; /* a second copy was sent: who loses is canceled */
  pthread_mutex_t mutex;
  Attempt* open;
  atomic_bool stopped;        /* canceled by the client, refused at its bound, or won by a copy: nothing more is sent */
  Exchange *older, *newer;    /* in the list of the sweep */
};

typedef enum { NOTHING = -1, FORWARD, EXPLAIN, REFUSE, COPY, CANCEL, WAIT } Kind;
enum { EXPLAINS = 1, KEEPS_INPUTS = 2, RECORDS_FIRST = 4 };

/* What Python wants: (FORWARD, variant, listener, attempt, bound_ms, flags, overdue_ms, hedge_ms),
 * (EXPLAIN, text), (REFUSE, code, message), (COPY, variant, listener, attempt, overdue_ms), (CANCEL,),
 * (WAIT, wait_ms) or None. */
typedef struct {
  Kind kind;
  char* text;
  PyObject *listener, *attempt;
  double overdue_ms, bound_ms, hedge_ms, wait_ms;
  long code, flags;
} Command;

/* A request at a variant. It ends with its answer and the release of its inputs, in any order. */
struct Attempt {
  Exchange* exchange;
  ServerRequest* request;
  PyObject *listener, *attempt;
  uint64_t sent_ns, ended_ns;
  bool explains, records_first, reported;
  bool is_overdue;       /* to be canceled as soon as it is sent; guarded by the mutex of its exchange */
  Timer timer;
  atomic_int references; /* one for each of its two ends, and one each while it is sent, timed and waits to be recorded */
  Command command;  /* what to do once it is recorded */
  Attempt* waiting; /* the next one that is to be recorded */
  Attempt *next, **link; /* in the exchange's list, while the call may be canceled */
};

/* ask.c: what Python is asked. All of these expect its lock. */
PyObject* owned(PyObject* object);
Command command_of(PyObject* result); /* consumes the result */
Command ask_arrived(Exchange* exchange);
Command ask_answered(Attempt* attempt);
Command ask_slow(Exchange* exchange);
Command ask_failed(Attempt* attempt, ErrorCode code, const char* message, bool reached);
Command ask_overdue(Attempt* attempt);
char* ask_explanation(Attempt* attempt); /* to be freed */

/* answer.c: answers to the client. They do nothing if it has its answer. */
void answer(Exchange* exchange, ServerResponse* from, const char* decision);
void refuse(Exchange* exchange, ErrorCode code, const char* message);

/* request.c */
void record_answered(void);

/* check.c: whether an answer lacks an output, or has one of another type or batch, and if so, which one */
bool is_wrong(const Attempt* attempt, ServerResponse* response, char* text, size_t size);

/* cancel.c */
void cancel_open(Exchange* exchange); /* and all that is sent later */
void enlist(Exchange* exchange);
void delist(Exchange* exchange);

/* forward.c */
Error* fill(Exchange* exchange, ServerRequest* to, Request* like);
Trace* child_trace(Exchange* exchange);
extern Allocator* allocator; /* of the outputs of variants */

#endif
