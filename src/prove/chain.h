/* SPDX-License-Identifier: MIT
 *
 * Chains in words: what a wait hangs on, down to its live end or to the proof.
 *
 *   T3 waits for mutex 0x4c10 `orders_lock`, held by T4
 *   T4 is in recv(12) tcp 127.0.0.1:80
 */
#ifndef STRAND_PROVE_CHAIN_H
#define STRAND_PROVE_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "model/model.h"

#define CHAIN_LINES_MAX 64

/* One line on what `t` does or waits for, without newline: "T3 waits for mutex …, held by T4". */
void chain_describe_wait(const struct task *t, char *buf, size_t size);

/* The same without the task: "waits for mutex …, held by T4". */
void chain_describe_action(const struct task *t, char *buf, size_t size);

/* "mutex 0x4c10 `orders_lock`" */
void chain_describe_object(const struct object *o, char *buf, size_t size);

/* The tasks of the chain that begins at `t`, each once, in order; the last is the end of the
 * chain or the one that closes a cycle. Returns their number (at most `max`). */
size_t chain_collect(const struct task *t, const struct task **out, size_t max);

/* How the chain of `t` ends, in words: "a cycle: stuck", "not stuck: T9 may go on",
 * "any live task may signal it: T1 (poll(3)), and 2 more". Empty if there is nothing to add. */
void chain_describe_end(const struct model *m, const struct task *t, char *buf, size_t size);

/* The task that the wait of `t` hangs on in the end: for a live `t` the first of its chain that
 * is live by its own doing or through a shared object, otherwise the last of the chain, or one of
 * the cycle that the chain runs into. `t` itself if it waits for nobody in particular. */
const struct task *chain_find_end(const struct task *t);

/* Does it run, or wait for something outside, for a time, or with a reason of its own to be
 * live? Then nobody in the process needs to wake it. */
bool chain_is_self_live(const struct task *t);

#define CHAIN_LINE_BYTES 512
#define CHAIN_TASKS_MAX	 (CHAIN_LINES_MAX - 4) /* tasks that chain_write() gives a line each */

/* "T1 (poll(3)), and 2 more": who of a model might act, found once. */
struct chain_wakers {
	const struct model *model; /* NULL: not looked for yet */
	char words[CHAIN_LINE_BYTES];
};

/* A whole chain in words. The remark belongs behind the last line ("a cycle: stuck", "not stuck:
 * T9 may go on"), "" if there is none. Where the end is a sentence of its own ("no task is live:
 * nobody can wake it") it is the last line. About 33 KB: keep one and use it again. */
struct chain_text {
	size_t n;
	char lines[CHAIN_LINES_MAX][CHAIN_LINE_BYTES];
	char remark[CHAIN_LINE_BYTES];
	struct chain_wakers wakers; /* kept from one chain_write() to the next */
};

/* Zero it before its first use. Too long a chain has its middle left out. */
void chain_write(const struct model *m, const struct task *t, struct chain_text *out);

/* "1.5 s", "93 s", "2 h 5 min" */
void chain_format_duration(int64_t ns, char *buf, size_t size);

#endif
