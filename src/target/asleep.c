/* SPDX-License-Identifier: MIT
 *
 * What /proc tells of a sleeping thread, and what a socket tells of its time limit. A socket is
 * asked through a duplicate of the descriptor (pidfd_getfd(2), Linux 5.6) that lives for the
 * time of one call.
 */
#include "target/asleep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "target/procfs.h"

/* "nr a0 … a5 sp ip", the number in decimal, of a thread that sleeps; "running" otherwise. */
static bool asleep_read_call(pid_t pid, pid_t tid, struct arch_regs *regs)
{
	uint64_t a[6], sp, ip;
	char path[64], buf[256];
	long number;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
	if (procfs_read_into(path, buf, sizeof(buf)) <= 0 ||
	    sscanf(buf,
		   "%ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64
		   " %" SCNx64 " %" SCNx64,
		   &number, &a[0], &a[1], &a[2], &a[3], &a[4], &a[5], &sp, &ip) != 9)
		return false;
	arch_fill_sleeper(regs, number, a, sp, ip);
	return true;
}

/* How often it has given up a processor; false unless it sleeps right now (a thread stopped by
 * job control on its way out of a call does not). */
static bool asleep_read_switches(pid_t pid, pid_t tid, uint64_t *switches)
{
	const char *state, *voluntary, *forced;
	char path[64], buf[4096];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	if (procfs_read_into(path, buf, sizeof(buf)) <= 0)
		return false;
	state = procfs_find_field(buf, "State");
	voluntary = procfs_find_field(buf, "voluntary_ctxt_switches");
	forced = procfs_find_field(buf, "nonvoluntary_ctxt_switches");
	if (!state || (*state != 'S' && *state != 'D') || !voluntary || !forced)
		return false;
	*switches = strtoull(voluntary, NULL, 10) + strtoull(forced, NULL, 10);
	return true;
}

static bool asleep_is_socket(pid_t pid, int fd)
{
	char path[64];
	char *link;
	bool is;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	link = procfs_read_link(path);
	is = link && !strncmp(link, "socket:", 7);
	free(link);
	return is;
}

static bool asleep_socket_has_limit(pid_t pid, int fd, int option)
{
	struct timeval limit = { 0 };
	socklen_t bytes = sizeof(limit);
	int pidfd, copy;

	if (!asleep_is_socket(pid, fd))
		return false;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return false;
	copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	close(pidfd);
	if (copy < 0)
		return false;
	if (getsockopt(copy, SOL_SOCKET, option, &limit, &bytes))
		limit = (struct timeval){ 0 };
	close(copy);
	return limit.tv_sec || limit.tv_usec;
}

bool asleep_is_best_left(pid_t pid, pid_t tid, int64_t late_ns, struct asleep *out)
{
	int64_t limit_ns;
	int option;

	if (!asleep_read_call(pid, tid, &out->regs))
		return false;
	option = arch_socket_limit_option(&out->regs);
	if (option &&
	    asleep_socket_has_limit(pid, (int)arch_syscall_argument(&out->regs, 0), option))
		arch_mark_limited(&out->regs);
	else if (!arch_is_transfer(&out->regs) && !arch_restarts_limit(&out->regs))
		return false;
	limit_ns = arch_limit_ns(&out->regs);
	if (limit_ns > 0 && limit_ns <= late_ns)
		return false;
	return asleep_read_switches(pid, tid, &out->switches);
}

bool asleep_still_is(pid_t pid, pid_t tid, const struct asleep *a)
{
	uint64_t switches;

	return asleep_read_switches(pid, tid, &switches) && switches == a->switches;
}
