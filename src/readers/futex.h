/* SPDX-License-Identifier: MIT
 *
 * What a futex(2) call means: which lock of glibc, or a raw futex. Pure functions over
 * registers, code addresses and the C library's ranges; no I/O.
 *
 * The value waited for and the operation are tested before any function name (a cond's re-lock
 * phase has pthread_cond_wait on its stack, but waits for a mutex), and nothing is called a lock
 * of glibc unless a frame of glibc says so: musl, Rust and others use the same values.
 */
#ifndef STRAND_READERS_FUTEX_H
#define STRAND_READERS_FUTEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/model.h"
#include "readers/libc.h"
#include "target/arch.h"

struct futex_call {
	int command;	  /* FUTEX_WAIT … without flags */
	bool is_private;  /* FUTEX_PRIVATE_FLAG */
	bool is_absolute; /* the timeout is a point in time */
	bool is_realtime; /* … of CLOCK_REALTIME, else CLOCK_MONOTONIC */
	uint64_t word;	  /* address of the futex word */
	uint32_t value;	  /* expected in the word; for LOCK_PI nothing */
	uint64_t timeout; /* address of a struct timespec; 0: none */
};

enum futex_meaning_kind {
	FUTEX_MEANS_RAW,
	FUTEX_MEANS_MUTEX,
	FUTEX_MEANS_COND,
	FUTEX_MEANS_SEMAPHORE,
	FUTEX_MEANS_BARRIER,
	FUTEX_MEANS_RWLOCK_READ,
	FUTEX_MEANS_RWLOCK_WRITE,
	FUTEX_MEANS_JOIN,
	FUTEX_MEANS_ONCE,
	FUTEX_MEANS_LIBC_LOCK, /* a lock of the library's own: whoever holds it is not known */
	FUTEX_MEANS_UNKNOWN,   /* inside glibc, for no reason known here */
};

struct futex_meaning {
	enum futex_meaning_kind kind;
	uint64_t object; /* address of the lock, cond …; of the word for a raw futex */
};

/* Is the thread inside a futex wait? Fills *out. `number` is the call's number after a restart
 * has been traced back. */
bool futex_decode(const struct arch_regs *regs, long number, struct futex_call *out);

/* Was it asleep there when it stopped, `word` being what memory held when all had stopped? */
bool futex_is_asleep(const struct arch_regs *regs, const struct futex_call *call, uint32_t word);

/* Does the word hold its owner's tid (robust and priority-inheriting mutexes)? */
bool futex_names_owner(const struct futex_call *call);

/* What it means. `pcs`: code addresses of the stack, innermost first (return addresses minus 1).
 * `joins`: the word is the tid of a thread of this process, in that thread's descriptor. */
void futex_classify(const struct libc *libc, const struct futex_call *call, const uint64_t *pcs,
		    size_t n, bool joins, struct futex_meaning *out);

#endif
