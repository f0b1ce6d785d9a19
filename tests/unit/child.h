/* SPDX-License-Identifier: MIT
 *
 * A child that sleeps in a system call: started, stopped as a look would stop it, described.
 * Anything unexpected fails the running test.
 */
#ifndef STRAND_TESTS_UNIT_CHILD_H
#define STRAND_TESTS_UNIT_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "readers/io.h"
#include "target/arch.h"
#include "target/snapshot.h"

#define SECOND INT64_C(1000000000)

struct child {
	pid_t pid;
	struct arch_regs regs;
	struct snapshot *snap;
	struct io_names *names;
	struct io_wait wait;
};

/* Is process `pid` asleep in call `number`? */
bool child_sleeps(pid_t pid, long number);

/* Fork a child that runs block() and wait until it sleeps in call `number`. */
void child_start(struct child *c, void (*block)(void), long number);

/* Stop it, copy what is wanted, let it go, describe the call as `number` in c->wait. */
void child_look(struct child *c, long number);

void child_end(struct child *c);

/* All of this for one wait. */
void child_describe(void (*block)(void), long number, struct io_wait *w);

/* Compare a wait with what it should be. */
void wait_check(const struct io_wait *w, enum wait_op op, enum object_kind kind, const char *fmt,
		...) __attribute__((format(printf, 4, 5)));
void wait_check_no_deadline(const struct io_wait *w);

/* A deadline at most `left` away and not much less, 0: not known; `duration` exactly, or 0. */
void wait_check_deadline(const struct io_wait *w, int64_t left, int64_t duration);

/* What descriptor `fd` of this process is, as /proc shows it; valid until the next call. */
const char *link_of(int fd);

#endif
