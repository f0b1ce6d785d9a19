/* SPDX-License-Identifier: MIT
 *
 * For programs that end by themselves: wait until the other threads have come to where they stay.
 */
#ifndef SETTLE_H
#define SETTLE_H

#include "prog.h"
#include <dirent.h>
#include <sys/syscall.h>

/* The state letter of a thread of this process; 0 if it is gone. */
static inline char settle_state(const char *tid)
{
	char path[300], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%s/stat", tid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(file);
	return state;
}

/* How many other threads there are, all asleep; -1 if one of them is not. */
static inline int settle_sleepers(void)
{
	long self = syscall(SYS_gettid);
	struct dirent *entry;
	int sleepers = 0;
	DIR *folder;
	char state;

	folder = opendir("/proc/self/task");
	PROG_CHECK(folder);
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.' || atol(entry->d_name) == self)
			continue;
		state = settle_state(entry->d_name);
		if (state != 'S' && state != 'Z' && sleepers >= 0)
			sleepers = -1;
		else if (state == 'S' && sleepers >= 0)
			sleepers++;
	}
	closedir(folder);
	return sleepers;
}

/* Returns once there are so many other threads, and all have been asleep for a while. */
static inline void settle(int threads)
{
	for (int calm = 0; calm < 5; calm++) {
		prog_nap_ms(5);
		if (settle_sleepers() != threads)
			calm = -1;
	}
}

#endif
