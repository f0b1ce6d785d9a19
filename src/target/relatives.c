/* SPDX-License-Identifier: MIT
 *
 * kcmp(2) over all processes, or the sizes of their memories where it is refused. Nothing is
 * stopped or changed.
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

/* Size, text and data of a process's memory, in pages: /proc/PID/statm, open to everybody. */
struct memory_size {
	unsigned long size, text, data;
};

/* The process whose relatives are looked for. */
struct relatives {
	pid_t pid, through, parent;
	bool is_copy;
	struct memory_size size;
};

static bool relatives_read_size(pid_t pid, struct memory_size *out)
{
	char path[64], buf[256];

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	return procfs_read_into(path, buf, sizeof(buf)) > 0 &&
	       sscanf(buf, "%lu %*u %*u %lu %*u %lu", &out->size, &out->text, &out->data) == 3;
}

/* The parent of `pid`, and whether it is a copy that has not called exec. */
static pid_t relatives_read_parent(pid_t pid, bool *is_copy)
{
	char path[64], buf[1024];
	const char *parent;

	*is_copy = false;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (procfs_read_into(path, buf, sizeof(buf)) <= 0)
		return 0;
	*is_copy = procfs_is_copy(buf);
	parent = procfs_find_stat_field(buf, 4);
	return parent ? (pid_t)atoi(parent) : 0;
}

/* Where kcmp(2) is refused, because the other has changed its user since: only a copy shares its
 * parent's memory, or with CLONE_PARENT its sibling's, and one memory has one size. */
static bool relatives_may_share(const struct relatives *r, pid_t other)
{
	struct memory_size size;
	bool is_copy;
	pid_t parent = relatives_read_parent(other, &is_copy);

	if (other == r->parent ? !r->is_copy
			       : !is_copy || (parent != r->pid && parent != r->parent))
		return false;
	return relatives_read_size(other, &size) && size.size && size.size == r->size.size &&
	       size.text == r->size.text && size.data == r->size.data;
}

static bool relatives_share(const struct relatives *r, pid_t other)
{
	long rc = syscall(SYS_kcmp, (long)r->through, (long)other, (long)KCMP_VM, 0L, 0L);

	return rc < 0 ? relatives_may_share(r, other) : rc == 0;
}

pid_t relatives_find(pid_t pid, pid_t through)
{
	struct relatives r = { .pid = pid, .through = through };
	pid_t self = getpid(), found = 0;
	DIR *dir = opendir("/proc");
	struct dirent *d;

	r.parent = relatives_read_parent(pid, &r.is_copy);
	relatives_read_size(through, &r.size);
	while (dir && !found && (d = readdir(dir))) {
		pid_t other = (pid_t)atoi(d->d_name);

		if (other > 0 && other != pid && other != self && relatives_share(&r, other))
			found = other;
	}
	if (dir)
		closedir(dir);
	return found;
}
