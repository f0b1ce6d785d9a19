/* SPDX-License-Identifier: MIT
 *
 * A daemon as the books have it: it closes every descriptor, in all ways there are, forks twice,
 * leaves its folder; then it works, and shows that it has no more open than it knows of. Argument:
 * how it closes.
 */
#include "work.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { KEPT = 500 };

static void close_all(const char *how)
{
	if (strcmp(how, "range") == 0) {
		PROG_CHECK(close_range(0, KEPT - 1, 0) == 0);
		PROG_CHECK(close_range(KEPT + 1, ~0u, 0) == 0);
	} else if (strcmp(how, "from") == 0) {
		for (int fd = 0; fd < KEPT; fd++)
			close(fd);
		closefrom(KEPT + 1);
	} else {
		for (int fd = 0; fd < 70000; fd++)
			if (fd != KEPT)
				close(fd);
	}
}

static void show_open(void)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;

	PROG_CHECK(folder);
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder))
			dprintf(KEPT, "open: %s\n", entry->d_name);
	closedir(folder);
}

static void become_daemon(void)
{
	if (fork() != 0)
		_exit(0);
	PROG_CHECK(setsid() > 0);
	if (fork() != 0)
		_exit(0);
	umask(0);
	PROG_CHECK(chdir("/") == 0);
}

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2);
	PROG_CHECK(work(0) == 600);
	PROG_CHECK(dup2(STDOUT_FILENO, KEPT) == KEPT);
	close_all(argv[1]);
	PROG_CHECK(open("/dev/null", O_RDWR) == 0 && dup(0) == 1 && dup(0) == 2);
	dprintf(KEPT, "the sum is %d\n", work(0));
	if (strcmp(argv[1], "libc") == 0)
		PROG_CHECK(daemon(0, 0) == 0);
	else
		become_daemon();
	dprintf(KEPT, "the sum is %d, of %d\n", work(0), crowd(300, 16384));
	show_open();
	return 0;
}
