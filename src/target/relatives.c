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

static bool relatives_read_size(pid_t pid, struct memory_size *out)
{
	char path[64], buf[256];

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	return procfs_read_into(path, buf, sizeof(buf)) > 0 &&
	       sscanf(buf, "%lu %*u %*u %lu %*u %lu", &out->size, &out->text, &out->data) == 3;
}

/* Where kcmp(2) is refused: one memory has one size. */
static bool relatives_have_one_size(pid_t a, pid_t b)
{
	struct memory_size x, y;

	return relatives_read_size(a, &x) && relatives_read_size(b, &y) && x.size &&
	       x.size == y.size && x.text == y.text && x.data == y.data;
}

static bool relatives_share(pid_t a, pid_t b)
{
	long rc = syscall(SYS_kcmp, (long)a, (long)b, (long)KCMP_VM, 0L, 0L);

	return rc < 0 ? relatives_have_one_size(a, b) : rc == 0;
}

pid_t relatives_find(pid_t pid, pid_t through)
{
	pid_t self = getpid(), found = 0;
	DIR *dir = opendir("/proc");
	struct dirent *d;

	while (dir && !found && (d = readdir(dir))) {
		pid_t other = (pid_t)atoi(d->d_name);

		if (other > 0 && other != pid && other != self && relatives_share(through, other))
			found = other;
	}
	if (dir)
		closedir(dir);
	return found;
}
