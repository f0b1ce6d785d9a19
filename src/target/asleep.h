/* SPDX-License-Identifier: MIT
 *
 * Threads that are better left asleep. A stop interrupts the call that a thread sleeps in. Most
 * calls go on afterwards as if nothing had been; two kinds cannot:
 *   - one that has moved some bytes answers with that many (a short write, sendfile, …);
 *   - one with a time limit of its own that the kernel begins anew when it restarts the call
 *     (timed epoll_wait, sigtimedwait, semtimedop, io_getevents; sockets with SO_RCVTIMEO): looks
 *     in close succession would put the limit off for ever.
 * Such a thread waits for something outside, so it is live whatever else is true of it; it is
 * not stopped, and whether it slept all through the stop can be told from its switch counts.
 */
#ifndef STRAND_TARGET_ASLEEP_H
#define STRAND_TARGET_ASLEEP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "target/arch.h"

struct asleep {
	struct arch_regs regs; /* what the kernel tells of them: see arch_fill_sleeper() */
	uint64_t switches;     /* how often the thread has given up a processor */
};

/* Is thread `tid` of process `pid` asleep in such a call? Fills *out if so. A limit of at most
 * `late_ns` may begin anew. Stops nobody; takes some microseconds, more for sockets. */
bool asleep_is_best_left(pid_t pid, pid_t tid, int64_t late_ns, struct asleep *out);

/* Has it slept ever since? */
bool asleep_still_is(pid_t pid, pid_t tid, const struct asleep *a);

#endif
