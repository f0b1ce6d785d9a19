/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 1
 * expect: stuck join cycle 1
 * check: deadlock
 * untimed: mutex-lock
 * frame: join_within
 * variants: -O0 -O2
 *
 * What it is: main joins a thread from inside a dl_iterate_phdr callback, so it holds the dynamic
 * linker's lock, which the thread needs. That lock is an ordinary recursive mutex of glibc's.
 */
#include "prog.h"
#include <link.h>

static int look(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)info, (void)size, (void)data;
	return 1;
}

static void *list_modules(void *arg)
{
	dl_iterate_phdr(look, NULL);
	return arg;
}

static int join_within(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)info, (void)size, (void)data;
	pthread_join(prog_thread(list_modules, NULL), NULL);
	return 1;
}

int main(void)
{
	prog_ready();
	dl_iterate_phdr(join_within, NULL);
	return 0;
}
