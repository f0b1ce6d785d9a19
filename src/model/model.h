/* SPDX-License-Identifier: MIT
 *
 * The model of one look at a process: its tasks, what each waits for, the objects waited for,
 * and what else is alive. Readers fill it, the prover judges it, reports read it. No I/O, no
 * knowledge of glibc or of the kernel.
 *
 * Everything is owned by the struct model and lives until model_free(); pointers between its
 * parts stay valid (parts are allocated one by one, never moved). Strings given to the model are
 * copied unless a comment says otherwise.
 */
#ifndef STRAND_MODEL_MODEL_H
#define STRAND_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TIME_UNKNOWN INT64_MIN

/* Why the look was taken (DESIGN 7). */
enum moment {
	MOMENT_UNKNOWN,
	MOMENT_ATTACH,
	MOMENT_EXIT,
	MOMENT_TIMEOUT,
	MOMENT_SIGNAL,
	MOMENT_DEADLOCK,
	MOMENT_CORE,
	MOMENT_KILLED,
};

enum object_kind {
#define KIND(constant, name) OBJECT_##constant,
#include "model/kinds.def"
#undef KIND
};

enum wait_op {
#define OP(constant, name, words) OP_##constant,
#include "model/ops.def"
#undef OP
};

enum reason_code {
#define REASON(constant, code) REASON_##constant,
#include "model/reasons.def"
#undef REASON
};

/* What can hold an object, or refer to one. */
enum place_kind {
#define PLACE(constant, name) PLACE_##constant,
#include "model/places.def"
#undef PLACE
};

enum task_kind { TASK_THREAD, TASK_GOROUTINE, TASK_COROUTINE };
enum task_state { STATE_RUNNING, STATE_BLOCKED, STATE_SLEEPING, STATE_IO, STATE_ENDED };
enum verdict { VERDICT_NONE, VERDICT_STUCK, VERDICT_ALIVE, VERDICT_UNJOINED };

const char *object_kind_name(enum object_kind k);
const char *wait_op_name(enum wait_op op);
const char *wait_op_words(enum wait_op op);
const char *reason_code_name(enum reason_code c);
const char *task_state_name(enum task_state s);
const char *task_kind_name(enum task_kind k);
const char *place_kind_name(enum place_kind k);
const char *verdict_name(enum verdict v);
const char *moment_name(enum moment m);

struct frame {
	const char *function;	  /* NULL: unknown. Strings of frames outlive the model's users: the
			       * model owns a copy of each, once */
	const char *file;	  /* NULL: unknown */
	const char *module;	  /* last part of the module's path; NULL: no module */
	uint64_t address;	  /* the code address (return addresses minus 1) */
	uint64_t module_offset;	  /* address minus the module's first address */
	uint64_t function_offset; /* address minus the function's, 0 if unknown */
	int line;		  /* 0: unknown */
	int function_line;	  /* 0: unknown */
	bool inlined;
	bool system; /* of the C, C++ or Rust run-time library: not the user's own code */
};

struct stack {
	struct frame *v; /* innermost first */
	size_t n;
	bool complete; /* reaches the outermost frame */
};

/* Who owns a lock, or is the thread that a join waits for. */
enum owner_state {
	OWNER_NONE,    /* an object without owners (shared objects), or a lock held by readers */
	OWNER_UNKNOWN, /* somebody owns it, it cannot be said who: the wait is live */
	OWNER_TASK,    /* `owner` */
	OWNER_ENDED,   /* the owner has ended and left it locked; `owner_tid`, and `owner` if it is
			* known who that was */
	OWNER_FOREIGN, /* a task of another process; the wait is live; `owner_tid` */
};

/* A place on the way to an object: the word at `at` in it leads to the next one, or is the object. */
struct place {
	enum place_kind kind;
	struct task *task; /* whose; NULL: nobody's in particular */
	uint64_t start;	   /* of the place; 0: no memory */
	uint64_t bytes;
	uint64_t at; /* 0: no memory */
	const char *
		name; /* symbol at `at`, "service.pool", "main::queue", "epoll data of descriptor 5"; NULL */
	const char *type; /* of the place, by debug information ("struct pool"); NULL: not known */
	const char *member; /* of that type, which lies at `at` ("queue", "shards[2].lock"); NULL */
};

struct object {
	enum object_kind kind;
	uint64_t address;      /* 0: none (a descriptor) */
	const char *name;      /* symbol or the like; NULL: unknown */
	const char *attribute; /* "recursive", "robust", …; NULL: nothing to say */
	enum owner_state owner_state;
	struct task *owner;    /* OWNER_TASK: the owner, or the joined thread; OWNER_ENDED */
	struct task **holders; /* not NULL: a read-locked rwlock all of whose holders are known
				   * (it has no owner then); tasks that have ended among them */
	size_t holder_count;
	uint32_t readers; /* how often an rwlock is held for reading, by its own count; 0: it is
			   * not, or that is not known */
	uint32_t writers; /* how many want to write-lock a rwlock that no writer has, by the lock */
	bool everybodys; /* it lies in a module's data: everybody live reaches it, without a pointer */
	bool in_main_frame; /* it lies in the frame that main has left by returning */
	bool writer_live;   /* set by the prover: somebody who waits to write-lock it may give up */
	uint32_t writers_waiting; /* … and how many wait for that, and do nothing else */
	struct task *heir;	  /* OWNER_ENDED in a forked process: the copy of the thread that
				 * called fork, which may hold the lock under its old tid; NULL
				 * if there can be none */
	pid_t owner_tid;	  /* in the process's namespace; 0: unknown */
	const char *live_because; /* not NULL: whoever waits for it may be woken, and why
				   * ("shared with other processes") */
	/* Set if it was looked for who reaches it. */
	struct place *home; /* where it lies; NULL: not looked for, or everybody's */
	struct place *path; /* how somebody live reaches it, the root first and its home
				     * last; NULL: nobody live does */
	size_t path_length;
	struct task **referrers; /* not reached: the tasks from which something leads to it */
	size_t referrer_count;
};

struct wait {
	enum wait_op op;
	struct object *object; /* NULL: none (sleep) */
	struct object *second; /* the cond's mutex; NULL: none or unknown */
	const char *text;      /* for io, sleep, other: "recv(12) tcp …"; NULL otherwise */
	int64_t since_ns;      /* blocked for that long at the look; TIME_UNKNOWN */
	bool has_deadline;
	int64_t deadline_left_ns; /* TIME_UNKNOWN if there is a deadline but not known when */
	int64_t duration_ns;	  /* the whole of a relative time; TIME_UNKNOWN */
	bool cancellation_point;  /* cond, semaphore, join, io: pthread_cancel ends it */
	bool interruptible;	  /* a caught signal makes the call return (raw futex, semaphore) */
};

struct task {
	enum task_kind kind;
	uint64_t number; /* T<number>, G<goid>, C<number> */
	char id[24];
	bool system;		/* the runtime's own: never a finding */
	pid_t tid;		/* as strand sees it; 0: none */
	pid_t tid_ns;		/* as the process sees it */
	uint64_t handle;	/* pthread_t: its thread pointer; 0: not known */
	uint64_t goid;		/* goroutines; 0 otherwise */
	const char *name;	/* NULL: none */
	struct task *parent;	/* creator; NULL: unknown, or no longer there */
	uint64_t parent_number; /* creator, also when it is no longer there; 0: unknown */
	enum task_state state;
	struct wait *wait;	  /* NULL: not blocked */
	uint64_t handled_signals; /* bit n-1: signal n may run a handler here that could wake
				   * somebody (caught, not blocked, not exempt) */
	bool handler_leaves;	  /* such a handler may jump out of the wait, or end the task */
	const char *live_because; /* not NULL: live whatever it waits for, and why ("a signal is
				   * pending", "could not be stopped") */
	struct stack *stack;	  /* shared by tasks with equal stacks; NULL: not known */
	struct stack *created_by; /* NULL: not known */
	struct stack *start;	  /* its start routine, one frame; NULL: not known */
	int64_t born_ns;	  /* for that long it has been there; TIME_UNKNOWN */
	bool recorded;		  /* the recording side has a record of it */
	bool main;		  /* the process's first thread: never alive, never unjoined */
	bool ends_process;	  /* it is in exit: live, never alive */
	bool ending;		  /* its start routine is left, destructors may run: never alive */
	bool ended_unjoined; /* it has finished and nobody has joined it, nor can it be said that
				   * nobody needs to */

	/* Set by the prover. */
	bool live;
	bool candidate; /* not live by what is known without looking for references */
	bool main_only; /* live only if main's frame, which is no more, still counts */
	enum verdict verdict;
	enum reason_code reason;
	unsigned group;					/* tasks of one cycle share it; 0: none */
	struct finding *finding;			/* NULL: in none */
	struct task *owned_waiters, *next_owned_waiter; /* who waits for what this task owns */
	struct task *chain_next; /* whom the wait hangs on; NULL: the chain ends here */
};

/* Something other than a task that may act: a signal handler, a process that shares the memory.
 * It counts as live and reaches every shared object. */
struct pseudo_task {
	const char *what; /* "the handler of SIGUSR1", "process 4712, which shares the memory" */
	struct pseudo_task *next;
};

struct finding {
	char id[20]; /* 16 hex digits */
	char site[20];
	enum verdict verdict;
	struct task **tasks; /* ascending by number; [0] .. [count-1] */
	size_t count;
	struct task *longest; /* the one whose wait, stack and reason stand for all */
	unsigned group;
	char **reason_text; /* the chain, one line each */
	size_t reason_lines;
};

struct model_module {
	const char *name, *path, *build_id; /* build_id in hex, NULL: none */
	uint64_t start, end, offset;
};

enum model_seen { SEEN_NONE, SEEN_PARTIAL, SEEN_FULL };
enum model_proof { PROOF_NONE, PROOF_OWNERS, PROOF_FULL };

struct model {
	/* the process */
	pid_t pid, ppid;
	const char *exe;
	const char **argv; /* NULL-terminated */
	enum moment moment;
	int exit_status;    /* -1: not known, or ended by a signal */
	int exit_signal;    /* 0: none, or not known */
	struct model *next; /* a further image of the same run; not owned */
	struct model_module *modules;
	size_t module_count;

	/* the look */
	enum model_seen seen;
	enum model_proof proof;
	int64_t pause_ns;   /* the longest of its stops */
	int64_t stopped_ns; /* all of them together */
	unsigned stops;
	const char
		*references_withheld; /* not NULL: nobody looks for references, and why; static */
	const char *shared_withheld; /* not NULL: no wait for a shared object is given as stuck, and
				      * why ("io_uring is in use"); static or the model's */
	bool cancels;		     /* some module imports pthread_cancel */
	bool cancels_async;	     /* … and pthread_setcanceltype */

	struct task **tasks; /* ascending by number */
	size_t task_count;
	struct pseudo_task *pseudo_tasks;
	struct finding **findings; /* set by findings_make() */
	size_t finding_count;

	const char **notes; /* each once, in the order they came */
	size_t note_count;
	size_t lost;	      /* records lost by the recording side */
	uint64_t last_number; /* threads up to this number are known to the recording side, which
			       * gave them; others are numbered after it. 0: none recorded */

	struct model_store *store; /* what owns all of it */
};

int model_create(struct model **out);
void model_free(struct model *m);

/* Zeroed memory owned by the model; NULL if out of memory. */
void *model_alloc(struct model *m, size_t bytes);
/* A copy of `s` owned by the model, the same pointer for equal strings; NULL for NULL. */
const char *model_string(struct model *m, const char *s);
const char *model_format(struct model *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Append a task; its id is set by model_number_tasks(), and its number if that is 0. */
struct task *model_add_task(struct model *m, enum task_kind kind);
/* Once all tasks are there, and again when more have come: threads and coroutines without a number
 * are numbered in the order in which they were added (the order of their births, main first),
 * behind all that have one; goroutines by their goid; m->tasks is sorted. */
void model_number_tasks(struct model *m);
/* The thread of that number once they are numbered, NULL if there is none. */
struct task *model_find_thread(const struct model *m, uint64_t number);
/* The object of this kind at this address, made if it is new (one object, one struct). Address
 * 0 has no identity: each call makes an object of its own. */
struct object *model_object(struct model *m, enum object_kind kind, uint64_t address);
struct pseudo_task *model_add_pseudo(struct model *m, const char *what);
/* Say once what made a verdict milder or was not seen. */
int model_note(struct model *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
