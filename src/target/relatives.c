/* SPDX-License-Identifier: MIT
 *
 * kcmp(2) over all processes. Nothing is stopped or changed.
 */
#include "target/relatives.h"

#include <dirent.h>
#include <linux/kcmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target/procfs.h"

enum sharing { SHARES, SHARES_NOT, SHARING_UNKNOWN };

static enum sharing relatives_compare(pid_t a, pid_t b)
{
	long rc = syscall(SYS_kcmp, (long)a, (long)b, (long)KCMP_VM, 0L, 0L);

	if (rc < 0)
		return SHARING_UNKNOWN;
	return rc == 0 ? SHARES : SHARES_NOT;
}

static pid_t relatives_parent(pid_t pid)
{
	char path[64], buf[1024];
	const char *ppid;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (procfs_read_into(path, buf, sizeof(buf)) <= 0)
		return 0;
	ppid = procfs_find_stat_field(buf, 4);
	return ppid ? (pid_t)atoi(ppid) : 0;
}

static bool relatives_same_program(pid_t a, pid_t b)
{
	char path[64];
	char *x, *y;
	bool same;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)a);
	x = procfs_read_link(path);
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)b);
	y = procfs_read_link(path);
	/* A link that is refused may be the same program after a change of user. */
	same = !x || !y || !strcmp(x, y);
	free(x);
	free(y);
	return same;
}

static bool relatives_may_share(pid_t pid, pid_t through, pid_t parent, pid_t other)
{
	switch (relatives_compare(through, other)) {
	case SHARES:
		return true;
	case SHARES_NOT:
		return false;
	default:
		return (other == parent || relatives_parent(other) == pid) &&
		       relatives_same_program(through, other);
	}
}

pid_t relatives_find(pid_t pid, pid_t through)
{
	pid_t parent = relatives_parent(pid), self = getpid(), found = 0;
	DIR *dir = opendir("/proc");
	struct dirent *d;

	while (dir && !found && (d = readdir(dir))) {
		pid_t other = (pid_t)atoi(d->d_name);

		if (other > 0 && other != pid && other != self &&
		    relatives_may_share(pid, through, parent, other))
			found = other;
	}
	if (dir)
		closedir(dir);
	return found;
}
