/* SPDX-License-Identifier: MIT
 *
 * Keeps PTRACE_SEIZE from hanging for ever on a process that calls exec meanwhile: the kernel
 * lets a seize wait until the exec is over, and the exec wait until the tracer has collected
 * the threads that it killed. A second thread collects them while the first is in the call.
 */
#ifndef STRAND_TARGET_SEIZE_GUARD_H
#define STRAND_TARGET_SEIZE_GUARD_H

#include <sys/types.h>

struct seize_guard;

/* NULL if there is no memory or thread for it: the look then goes on unguarded. */
struct seize_guard *seize_guard_start(pid_t pid);

/* PTRACE_SEIZE of a thread of that process, under guard (`g` may be NULL). 0, or -1 and errno. */
int seize_guard_seize(struct seize_guard *g, pid_t tid);

void seize_guard_end(struct seize_guard *g);

#endif
