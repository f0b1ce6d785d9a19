/* SPDX-License-Identifier: MIT
 *
 * Is a process quiet: have all its threads slept for a second without using a processor? Asked
 * several times a second for every process, so the usual answer, no, costs one small file.
 */
#ifndef STRAND_SUPERVISE_QUIET_H
#define STRAND_SUPERVISE_QUIET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define QUIET_NS      1000000000 /* asleep for that long */
#define QUIET_TICK_NS 200000000	 /* how often to ask */

enum quiet_phase {
	QUIET_BUSY,   /* it ran since the last time */
	QUIET_TIMING, /* threads are asleep since since_ns */
	QUIET_LOOKED, /* a look has stirred them: the spell may go on */
};

/* Zeroed at first. */
struct quiet {
	enum quiet_phase phase;
	int64_t since_ns;   /* of the signature */
	uint64_t cpu_ticks; /* of the process */
	uint64_t threads;
	uint64_t ran;	/* what all threads have run: changes when any does */
	uint64_t where; /* in which calls they sleep: a look does not change it */
	bool is_over;	/* one look has been taken in this spell */
	bool lasts;	/* quiet at the last time of asking */
	bool hangs;	/* … and every thread waits on a futex without a deadline */
	unsigned looks; /* taken in this spell */
};

/* Ask about process `pid`; true: the moment for the one look of this spell. It is not one if no
 * thread waits on a futex without a deadline, for then nobody can be stuck. */
bool quiet_ask(struct quiet *q, pid_t pid, int64_t now_ns);

/* The look has been taken; `again`: it was not what it should have been, and is worth another a
 * second later, a few times at most. */
void quiet_mark_looked(struct quiet *q, bool again);

/* Does any thread wait on a futex without a deadline now? Nobody is stuck if not. */
bool quiet_may_be_stuck(pid_t pid);

#endif
