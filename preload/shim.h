/* SPDX-License-Identifier: MIT
 *
 * What the shim knows of itself: one struct for the image, one for each thread. Private memory,
 * valid from the first instruction of the program to the last.
 *
 * The image goes NONE, MAKING, READY or INERT, by whoever comes first (a constructor of another
 * library may); whoever comes meanwhile goes unrecorded. In a forked child, made by whatever call,
 * `*alive` reads 0: the table is the parent's and must not be written; the child makes its own. A
 * child of vfork runs on our memory, sees everything alive, and is told apart by its process id,
 * which every path compares that makes a system call for the table.
 */
#ifndef STRAND_PRELOAD_SHIM_H
#define STRAND_PRELOAD_SHIM_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"

enum shim_state { SHIM_NONE, SHIM_MAKING, SHIM_READY, SHIM_INERT };

struct shim {
	int state;
	uint32_t generation;   /* of the table: forked children count up */
	const uint64_t *alive; /* reads 0 before there is a table, and in a forked child */
	uint64_t *alive_page;
	struct wire_table *table;
	struct wire_control *control;	/* NULL: nobody supervises, or it could not be had */
	bool supervised;		/* STRAND_CONTROL was there, of use or not */
	bool sandboxed;			/* no system calls any more */
	uint32_t tid_offset;		/* of the thread's id from its pthread_t; 0: not known */
	uintptr_t code_begin, code_end; /* libstrand.so */
	uint64_t stack_bytes;		/* of a thread, where nobody says otherwise */
	char directory[512];		/* of the tables */
	char *const *environment;	/* as the loader gave it; NULL: not known yet */
};

struct self {
	struct wire_task *task;		  /* stays after the end, for joins */
	uint64_t number;		  /* its own, after the end too */
	uint32_t generation;		  /* of the table that it is in */
	uintptr_t stack_begin, stack_end; /* its own stack lies in between, and all from its
					   * stack pointer to stack_end can be read; 0: unknown */
	bool recording;
	bool ended;   /* destructors may still run */
	bool lost;    /* there was no room for it */
	bool leaving; /* it ends the process, and is in the hold */
};

extern RECORD_HIDDEN struct shim shim;
extern RECORD_HIDDEN __thread struct self self __attribute__((tls_model("initial-exec")));

/* The calling thread's pthread_t: on x86-64 the thread pointer, of which each thread's `self` is
 * equally far away. */
static inline uintptr_t self_handle(void)
{
	uintptr_t handle;

	__asm__("movq %%fs:0x10, %0" : "=r"(handle));
	return handle;
}

/* Only with glibc is there ever a table: of another library's threads nothing is known. */
RECORD_HIDDEN bool shim_is_known_libc(void);

/* Make the table if there is none yet; in a forked child, its own. */
RECORD_HIDDEN void shim_begin(void);

/* Is there a table that this process may write? Cheap; false in a forked child that has none. */
static inline bool shim_alive(void)
{
	return __atomic_load_n(shim.alive, __ATOMIC_RELAXED) != 0;
}

/* … and is this the process itself, not a child of vfork on its memory? A system call. */
RECORD_HIDDEN bool shim_is_own_process(void);

/* Tell the supervisor that there is news. */
RECORD_HIDDEN void shim_ring(void);

/* The calling thread's record, or NULL; found out, or claimed, now. */
RECORD_HIDDEN struct wire_task *self_find(void);

static inline struct wire_task *self_task(void)
{
	return self.recording && shim_alive() ? self.task : self_find();
}

/* The modules that are there now, into the table. Only while there is one thread. */
RECORD_HIDDEN void modules_write(void);
/* The path of libstrand.so as the loader has it; modules that are there now stay, for the CFI. */
RECORD_HIDDEN const char *modules_note(void);

/* -- leaving ------------------------------------------------------------------------------------ */

/* The process is about to end (or to be replaced), by the calling thread; `sp` is its stack pointer
 * in the program's own code. Waits for the watcher, if the image ever had a second task. */
RECORD_HIDDEN __attribute__((used)) void leave_hold(enum wire_exit_kind kind, int status,
						    uintptr_t sp);
/* It did not end after all: exec failed. */
RECORD_HIDDEN void leave_undo(void);
/* Nobody supervises: start the analyser for this process's exit. False if there is none. */
RECORD_HIDDEN bool analyser_start(void);
/* Find it, once: `library` is where libstrand.so is. */
RECORD_HIDDEN void analyser_find(const char *library, char *const *envp);
/* Where nobody supervises nobody would remove the table. The analyser has it open. */
RECORD_HIDDEN void leave_remove(void);
/* For a new table. */
RECORD_HIDDEN void leave_reset(void);

#endif
