/* SPDX-License-Identifier: MIT
 *
 * Under limits that leave nothing over, set before the program begins (it becomes itself once
 * more) or while it runs. Argument: the limit; a second one when it has begun again.
 */
#include "work.h"
#include <sys/mman.h>
#include <sys/resource.h>

static void limit(int resource, rlim_t value)
{
	struct rlimit both = { value, value };

	PROG_CHECK(setrlimit(resource, &both) == 0);
}

static rlim_t mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	PROG_CHECK(file && fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	return pages * 4096;
}

static void set(const char *what)
{
	if (strcmp(what, "files") == 0)
		limit(RLIMIT_NOFILE, 3);
	else if (strcmp(what, "memory") == 0)
		limit(RLIMIT_AS, 5 << 20);
	else if (strcmp(what, "size0") == 0)
		limit(RLIMIT_FSIZE, 0);
	else if (strcmp(what, "size1") == 0)
		limit(RLIMIT_FSIZE, 20000);
	else if (strcmp(what, "memory_later") == 0)
		limit(RLIMIT_AS, mapped_bytes() + (24 << 20));
	else if (strcmp(what, "files_later") == 0)
		limit(RLIMIT_NOFILE, 0);
	else if (strcmp(what, "size_later") == 0)
		limit(RLIMIT_FSIZE, 0);
	else if (strcmp(what, "stack") == 0)
		limit(RLIMIT_STACK, 64 << 10);
}

int main(int argc, char **argv)
{
	bool later = argc == 2 && strstr(argv[1], "_later");

	PROG_CHECK(argc >= 2);
	if (argc == 2) {
		set(argv[1]);
		if (strcmp(argv[1], "files") == 0)
			close(0); /* the loader needs one to open the C library */
	}
	if (argc == 2 && !later) {
		execl("/proc/self/exe", "limits", argv[1], "again", NULL);
		_exit(98);
	}
	if (later)
		PROG_CHECK(crowd(600, 16384) == 600);
	printf("the sum is %d\n", work(65536));
	return 4;
}
