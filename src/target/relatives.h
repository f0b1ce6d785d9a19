/* SPDX-License-Identifier: MIT
 *
 * Other processes that share a process's memory: vfork children that have not called exec yet,
 * clone(CLONE_VM) without CLONE_THREAD. They can unlock its locks and wake its threads, but do
 * not stand in its task list.
 */
#ifndef STRAND_TARGET_RELATIVES_H
#define STRAND_TARGET_RELATIVES_H

#include <sys/types.h>

/* The first process found that shares the memory of process `pid`, 0 if there is none; `through`
 * is one of its threads that has not ended. Call it while the process is stopped: then no new one can appear. If the kernel does not tell (kcmp(2) refused), a
 * parent, child or sibling whose memory has the very same size counts. */
pid_t relatives_find(pid_t pid, pid_t through);

#endif
