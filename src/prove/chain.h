/* SPDX-License-Identifier: MIT
 *
 * Chains in words: what a wait hangs on, down to its live end or to the proof.
 *
 *   T3 waits for mutex 0x4c10 `orders_lock`, held by T4
 *   T4 is in recv(12) tcp 127.0.0.1:80
 */
#ifndef STRAND_PROVE_CHAIN_H
#define STRAND_PROVE_CHAIN_H

#include <stddef.h>

#include "model/model.h"

#define CHAIN_LINES_MAX 64

/* One line on what `t` does or waits for, without newline: "T3 waits for mutex …, held by T4". */
void chain_describe_wait(const struct task *t, char *buf, size_t size);

/* "mutex 0x4c10 `orders_lock`" */
void chain_describe_object(const struct object *o, char *buf, size_t size);

/* The tasks of the chain that begins at `t`, each once, in order; the last is the end of the
 * chain or the one that closes a cycle. Returns their number (at most `max`). */
size_t chain_collect(const struct task *t, const struct task **out, size_t max);

/* How the chain of `t` ends, in words: "a cycle: stuck", "not stuck: T9 may go on",
 * "any live task may signal it: T1 (poll(3)), and 2 more". Empty if there is nothing to add. */
void chain_describe_end(const struct model *m, const struct task *t, char *buf, size_t size);

/* "1.5 s", "93 s", "2 h 5 min" */
void chain_format_duration(int64_t ns, char *buf, size_t size);

#endif
