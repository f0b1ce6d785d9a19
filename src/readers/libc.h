/* SPDX-License-Identifier: MIT
 *
 * Which C library the process runs on, and what strand knows of it: the text ranges of the
 * functions that block, and the layouts of locks. What depends on a glibc release stands in
 * libc.c alone; an unknown library or release gives raw futexes, nothing more.
 */
#ifndef STRAND_READERS_LIBC_H
#define STRAND_READERS_LIBC_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "target/modules.h"

enum libc_kind {
	LIBC_NONE,	    /* none recognised */
	LIBC_GLIBC,	    /* positively identified, of a release whose layouts are known */
	LIBC_GLIBC_UNKNOWN, /* glibc, of a release outside the known range */
	LIBC_MUSL,
};

enum libc_function {
	LIBC_FUNCTION_NONE,
	LIBC_FUNCTION_MUTEX_LOCK,
	LIBC_FUNCTION_LIBC_LOCK, /* a lock of the library's own */
	LIBC_FUNCTION_COND_WAIT,
	LIBC_FUNCTION_RWLOCK_RDLOCK,
	LIBC_FUNCTION_RWLOCK_WRLOCK,
	LIBC_FUNCTION_SEM_WAIT,
	LIBC_FUNCTION_BARRIER_WAIT,
	LIBC_FUNCTION_ONCE,
	LIBC_FUNCTION_JOIN,
	LIBC_FUNCTION_SYSCALL,
	LIBC_FUNCTION_INTERNAL, /* says nothing, but that its caller is the library's too */
	LIBC_FUNCTION_OUTSIDE,	/* waits for something outside the process */
};

struct libc;

/* Find the C library among `mods` (which must outlive it). Fails only for lack of memory. */
int libc_identify(const struct modules *mods, struct libc **out, struct err *e);
void libc_free(struct libc *l);

/* What it says of itself does not fit the process: treat it as an unknown release from now on. */
void libc_distrust(struct libc *l);

enum libc_kind libc_kind(const struct libc *l);
int libc_minor(const struct libc *l); /* 36 for 2.36; 0 unknown */

/* Is `pc` in the library's text (libpthread's counts)? In a static program it cannot be told
 * from the program's own: then only known functions count. */
bool libc_has_code(const struct libc *l, uint64_t pc);

/* Is the library linked into the program itself? */
bool libc_is_static(const struct libc *l);

/* Which blocking function holds `pc`. */
enum libc_function libc_function_at(const struct libc *l, uint64_t pc);

/* Is `pc` in a function that may block, and that calls nothing of the program's: whatever it has in
 * registers that a call need not keep is of no use to its caller. */
bool libc_function_is_leaf(const struct libc *l, uint64_t pc);

/* Offset of the tid in struct pthread, from the library itself (_thread_db_pthread_tid);
 * 0 if unknown. The thread pointer is the address of struct pthread. */
uint64_t libc_tid_offset(const struct libc *l);

/* The library's module, and the one that its functions for threads are in: the same since 2.34. */
void libc_get_modules(const struct libc *l, const struct module **libc,
		      const struct module **threads);

/* Where it keeps what of threads, as it says itself. Offsets in struct pthread, to which the thread
 * pointer points; addresses in the process. Not compared with the process yet. */
struct libc_layout {
	const struct module *libc, *loader; /* loader: NULL in a static program */
	uint64_t bytes;			    /* of struct pthread */
	uint64_t tid, list, start_routine;  /* in it; the routine's argument follows it */
	bool has_errno;
	uint64_t error_number; /* in the library's thread-locals, if has_errno */
	uint64_t tls_offset;   /* in struct link_map: how far below the thread pointer a module's
				* thread-locals begin; 0: not known */
	uint64_t tls_modules;  /* address of the pointer to the list of modules with thread-locals;
				* 0: not known */
	/* Addresses of the heads of its lists of stacks: in use and made by it, in use and given by the
	 * program, kept for new threads; of the bytes of the last, of a word for the element that is
	 * being moved, and of the lock of all that. 0: not known. */
	uint64_t stacks_used, stacks_user, stacks_cached, cached_bytes, in_flight, stacks_lock;
};

/* False if the library is no glibc of a known release, or does not say. */
bool libc_read_layout(const struct libc *l, const struct modules *mods, struct libc_layout *out);

/* The cond whose futex word is at `word`: 0 if the layout is not known. */
uint64_t libc_cond_of_futex(const struct libc *l, uint64_t word);

/* Does a cond wait without a deadline sleep in FUTEX_WAIT, not in FUTEX_WAIT_BITSET? */
bool libc_cond_waits_plainly(const struct libc *l);

#endif
