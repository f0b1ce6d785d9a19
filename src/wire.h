/* SPDX-License-Identifier: MIT
 *
 * The layout of a table, the file through which libstrand.so tells strand what it saw, and of a
 * control file, by which the two talk while strand supervises. The only header that the shim
 * shares with the rest.
 *
 * One table per process image. Fields have fixed widths, are little-endian and naturally aligned;
 * every offset is asserted. Who writes what:
 *   - the shim writes everything but the fields marked "watcher";
 *   - the watcher (the supervisor, or the analyser that the shim starts itself) writes `heartbeat`
 *     and `exit_state` (HELD to RELEASED) only.
 * A table survives the death of its process at any instruction: whoever reads one checks every
 * field (nothing in it is trusted), and takes a record for half-written when its state says so.
 * Times are CLOCK_MONOTONIC in ns; 0 is unknown. Process and thread ids are those of the process's
 * own PID namespace.
 */
#ifndef STRAND_WIRE_H
#define STRAND_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define WIRE_TABLE_MAGIC   "strandT\n"
#define WIRE_CONTROL_MAGIC "strandC\n"
#define WIRE_VERSION	   1u

/* Names in a directory of tables: "<pid>.<start_ticks>.<n>.strand", "<pid>.<start_ticks>.control" */
#define WIRE_TABLE_SUFFIX   ".strand"
#define WIRE_CONTROL_SUFFIX ".control"

/* The environment of a supervised program. */
#define WIRE_ENV_CONTROL "STRAND_CONTROL" /* path of the control file */
#define WIRE_ENV_DIR	 "STRAND_DIR"

/* How long the shim waits without a heartbeat, and how often one comes at least. */
#define WIRE_PATIENCE_NS  1000000000ll
#define WIRE_HEARTBEAT_NS 100000000ll

/* -- a wait ----------------------------------------------------------------------------------- */

/* What a task does while it is blocked. Append only: numbers are in files. */
enum wire_op {
	WIRE_OP_NONE,
#define WIRE_OP(constant) WIRE_OP_##constant,
#include "wire_ops.def"
#undef WIRE_OP
	WIRE_OP_COUNT
};

enum wire_wait_flags {
	WIRE_WAIT_DEADLINE = 1,	   /* it ends at deadline_ns, or at a time not known if that is 0 */
	WIRE_WAIT_CALLEE_REGS = 2, /* rbx, rbp, r12 to r15 of the context are the caller's */
};

/* The registers of the caller as they are after the call returns; ip minus 1. */
struct wire_context {
	uint64_t ip, sp, bp, bx, r12, r13, r14, r15;
};

/* `sequence` is odd while blocked. The writer makes it even, fills the rest, makes it odd again;
 * afterwards even. A nested wait (in a signal handler) saves this record and puts it back. */
struct wire_wait {
	uint32_t sequence;
	uint16_t op;
	uint16_t flags;
	uint64_t object; /* address as the program knows it: the cond, not the word inside it; the
			  * pthread_t of a join */
	uint64_t second; /* the cond's mutex; 0: none */
	uint64_t since_ns;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: not known */
	struct wire_context context;
};

/* -- a task ----------------------------------------------------------------------------------- */

enum wire_task_state {
	WIRE_TASK_FREE,	   /* never used, or over: ended and joined or detached */
	WIRE_TASK_CLAIMED, /* being filled in: not to be believed */
	WIRE_TASK_BORN,	   /* created, has not begun yet */
	WIRE_TASK_RUNNING, /* its start routine has been entered */
	WIRE_TASK_ENDING,  /* its start routine is left (return, exit, cancellation); destructors
			     * may still run */
};

enum wire_task_flags {
	WIRE_TASK_DETACHED = 1,
	WIRE_TASK_JOINED = 2,
	WIRE_TASK_HOLDS_LOST = 4, /* held more read locks than there is room for */
	WIRE_TASK_FOUND = 8,	  /* not created through the shim: birth and creator unknown */
};

enum wire_task_kind { WIRE_KIND_THREAD = 1, WIRE_KIND_GOROUTINE = 2, WIRE_KIND_COROUTINE = 3 };

#define WIRE_HOLDS 4
#define WIRE_NAME  16

struct wire_task {
	uint32_t state; /* written last when a record is filled */
	uint16_t kind;
	uint16_t flags;
	uint64_t number;   /* order of birth, main is 1; never used again */
	uint64_t parent;   /* number of the creator; 0: unknown */
	uint64_t handle;   /* pthread_t; 0: not known yet */
	uint64_t start;	   /* start routine */
	uint64_t argument; /* of the start routine: a root until that is entered */
	uint64_t birth_ns;
	uint64_t end_ns;
	int32_t tid;		    /* 0: not known yet */
	uint32_t creator_stack;	    /* stack id; 0: unknown */
	char name[WIRE_NAME];	    /* set through the shim; not always terminated */
	uint64_t holds[WIRE_HOLDS]; /* rwlocks held for reading; 0: none */
	uint8_t hold_counts[WIRE_HOLDS];
	uint32_t next; /* the shim's own: list of records to be used again */
	struct wire_wait wait;
	uint64_t stack_bytes; /* what it was given, below its pthread_t; 0: unknown */
};

/* -- stacks ----------------------------------------------------------------------------------- */

/* A stack id is the entry's offset in the file divided by 8. Return addresses minus 1, innermost
 * first; frames of the shim are left out. Entries are never changed once an id is out. */
enum wire_stack_flags { WIRE_STACK_COMPLETE = 1 };

struct wire_stack {
	uint32_t hash;
	uint16_t count;
	uint16_t flags;
	uint64_t pcs[];
};

#define WIRE_STACK_FRAMES 64

/* -- segments --------------------------------------------------------------------------------- */

enum wire_segment_kind {
	WIRE_SEGMENT_TASKS = 1,
	WIRE_SEGMENT_STACKS = 2,
	WIRE_SEGMENT_MODULES = 3
};

/* Segments follow each other; the first ones lie in the piece of the file made at the beginning. */
struct wire_segment {
	uint64_t offset; /* in the file, a multiple of 4096 */
	uint32_t bytes;
	uint32_t kind;
};

#define WIRE_SEGMENTS	   240
#define WIRE_TASKS_FIRST   256	    /* records in the first segment of tasks */
#define WIRE_TASKS_MORE	   512	    /* in each further one */
#define WIRE_STACKS_FIRST  0x10000u /* bytes */
#define WIRE_STACKS_MORE   0x40000u
#define WIRE_MODULES_BYTES 0x4000u

/* The modules that were there when main began, one after the other, each padded to 8 bytes. Names
 * for the addresses of a table whose process is no more. bytes 0 ends the list. */
struct wire_module {
	uint32_t bytes; /* of this entry, the path and padding included */
	uint32_t reserved;
	uint64_t load_bias; /* l_addr: what is added to the file's virtual addresses */
	char path[];	    /* terminated; the program itself comes first */
};

/* -- the table -------------------------------------------------------------------------------- */

enum wire_exit_state {
	WIRE_EXIT_NONE,
	WIRE_EXIT_HELD,	    /* the process is about to end and waits for the watcher */
	WIRE_EXIT_RELEASED, /* watcher: go on */
	WIRE_EXIT_PASSED,   /* the shim goes on: released, or nobody came */
};

enum wire_exit_kind {
	WIRE_EXIT_KIND_NONE,
	WIRE_EXIT_KIND_MAIN,  /* main returned */
	WIRE_EXIT_KIND_EXIT,  /* exit() */
	WIRE_EXIT_KIND__EXIT, /* _exit(), _Exit() */
	WIRE_EXIT_KIND_QUICK, /* quick_exit() */
	WIRE_EXIT_KIND_LAST,  /* the last thread ends */
	WIRE_EXIT_KIND_EXEC,  /* exec*(): exit_state goes back to NONE if it fails */
};

enum wire_table_flags {
	WIRE_TABLE_REPLACED = 1, /* the process has called exec since: there is a newer table */
	WIRE_TABLE_SANDBOXED =
		2,	       /* a seccomp filter came: the shim makes no system call any more */
	WIRE_TABLE_FORKED = 4, /* of a forked child */
	WIRE_TABLE_NO_RELATIVES = 8,	/* supervised with --no-children */
	WIRE_TABLE_STACKS_PARTIAL = 16, /* no unwinder was found: creator stacks are one frame */
};

#define WIRE_EXE_BYTES 1024

struct wire_table {
	char magic[8];
	uint32_t version;
	uint32_t header_bytes;
	uint32_t task_bytes;
	uint32_t flags;
	uint64_t start_ticks;	/* /proc/PID/stat field 22 */
	uint64_t pid_namespace; /* inode of /proc/PID/ns/pid; 0: unknown */
	uint64_t control_id;	/* of the control file; 0: nobody supervises */
	uint64_t birth_ns;	/* when the table was made */
	int32_t pid;
	uint32_t image;		/* n of the file's name */
	uint64_t tasks_born;	/* with main */
	uint32_t tasks_running; /* begun or about to, and not ending */
	uint32_t segment_count;
	uint64_t lost_tasks; /* births without a record */
	uint64_t lost_stacks;
	uint64_t restarting_signals;   /* bit n-1: a handler of n was installed with SA_RESTART */
	uint64_t interrupting_signals; /* … without */
	uint32_t heartbeat;	       /* watcher */
	uint32_t exit_state;	       /* the shim waits on it (futex); watcher: HELD to RELEASED */
	uint32_t exit_kind;
	int32_t exit_status;
	int32_t exit_tid;
	uint32_t reserved;
	uint64_t exit_ns;   /* when exit began */
	uint64_t exit_task; /* number of the task that ends the process */
	uint64_t exit_sp; /* its stack pointer in the caller of exit (in main: as main returned) */
	char exe[WIRE_EXE_BYTES]; /* /proc/self/exe, terminated, cut if longer */
	struct wire_segment segments[WIRE_SEGMENTS];
};

/* -- the control file ------------------------------------------------------------------------- */

enum wire_control_flags { WIRE_CONTROL_NO_CHILDREN = 1 };

struct wire_control {
	char magic[8];
	uint32_t version;
	uint32_t flags;
	uint64_t id;	       /* not 0; in each table of the processes supervised */
	int32_t first_pid;     /* of the program, in the supervisor's PID namespace; 0: not yet */
	uint32_t shims_loaded; /* shim: how many images have begun with it; each adds 1 */
	uint32_t shims_failed; /* shim: how many of those could not have a table */
	int32_t failed_errno;  /* shim: why the last of them could not */
	uint32_t doorbell;     /* shim: adds 1 and wakes (futex) at each news: a table, a hold */
	uint32_t reserved;
};

#define WIRE_AT(type, field, offset) \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)

#define WIRE_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)

WIRE_SIZE(wire_context, 64);
WIRE_AT(wire_wait, object, 8);
WIRE_AT(wire_wait, deadline_ns, 32);
WIRE_AT(wire_wait, context, 40);
WIRE_SIZE(wire_wait, 104);
WIRE_AT(wire_task, number, 8);
WIRE_AT(wire_task, handle, 24);
WIRE_AT(wire_task, argument, 40);
WIRE_AT(wire_task, end_ns, 56);
WIRE_AT(wire_task, tid, 64);
WIRE_AT(wire_task, name, 72);
WIRE_AT(wire_task, holds, 88);
WIRE_AT(wire_task, hold_counts, 120);
WIRE_AT(wire_task, wait, 128);
WIRE_AT(wire_task, stack_bytes, 232);
WIRE_SIZE(wire_task, 240);
WIRE_AT(wire_task, next, 124);
WIRE_AT(wire_stack, pcs, 8);
WIRE_SIZE(wire_segment, 16);
WIRE_AT(wire_module, path, 16);
WIRE_AT(wire_table, start_ticks, 24);
WIRE_AT(wire_table, pid, 56);
WIRE_AT(wire_table, tasks_born, 64);
WIRE_AT(wire_table, lost_tasks, 80);
WIRE_AT(wire_table, heartbeat, 112);
WIRE_AT(wire_table, exit_state, 116);
WIRE_AT(wire_table, exit_ns, 136);
WIRE_AT(wire_table, exe, 160);
WIRE_AT(wire_table, segments, 1184);
WIRE_SIZE(wire_table, 1184 + 16 * WIRE_SEGMENTS);
WIRE_AT(wire_control, id, 16);
WIRE_AT(wire_control, doorbell, 40);
WIRE_SIZE(wire_control, 48);

#endif
