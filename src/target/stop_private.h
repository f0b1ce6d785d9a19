/* SPDX-License-Identifier: MIT
 *
 * What the files of the stop share: the list of threads with what has been done to each.
 *   stop_seize.c    finds, seizes and interrupts threads
 *   stop_collect.c  waits for them, takes down what they show, lets them go
 *   stop.c          puts these together
 */
#ifndef STRAND_TARGET_STOP_PRIVATE_H
#define STRAND_TARGET_STOP_PRIVATE_H

#include "target/asleep.h"
#include "target/stop.h"

enum slot_phase {
	SLOT_NEW,	  /* seen in /proc, not seized */
	SLOT_SEIZED,	  /* ours, running */
	SLOT_INTERRUPTED, /* ours, its stop is awaited */
	SLOT_STOPPED,	  /* ours, stopped */
	SLOT_LET_GO,	  /* not ours any more */
};

struct slot {
	struct stop_thread thread;
	enum slot_phase phase;
	struct asleep asleep; /* STOP_THREAD_ASLEEP */
	int signal; /* to be delivered at detach: it stopped on the way to receiving this one */
	int64_t interrupted_ns;
};

struct stop {
	pid_t pid;
	struct slot *v; /* ascending by tid */
	size_t n, room;
	int64_t begin_ns, end_ns; /* of the stop; begin 0: not begun */
	int64_t max_pause_ns, thread_wait_ns, late_ns;
	int refused_errno; /* why a seize was refused */
	/* Not NULL: threads of a core, whose vector registers this reads. */
	size_t (*read_vector)(const void *ctx, pid_t tid, void *buf, size_t size);
	const void *read_vector_ctx;
};

/* CLOCK_MONOTONIC */
int64_t stop_now_ns(void);

/* Append the threads in /proc/PID/task that are not known yet; *added says how many. */
int stop_list_new(struct stop *s, size_t *added);
void stop_sort(struct stop *s);
void stop_seize_new(struct stop *s);
void stop_interrupt_seized(struct stop *s);

/* Collect until nobody is awaited, or one is overdue. Returns how many are still awaited. */
size_t stop_collect(struct stop *s);

/* Let every stopped thread go; those awaited stay ours until they stop. */
void stop_release(struct stop *s);

/* Collect stragglers and let them go at once, for at most `wait_ns`. */
void stop_drain(struct stop *s, int64_t wait_ns);

/* Which threads have a signal on its way to them? */
void stop_note_signals(struct stop *s);

#endif
