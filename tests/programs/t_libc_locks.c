/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * args: malloc | stdio | dl | exit | env
 * ends: quit
 * settled: no
 * variants: -O2 static
 *
 * What it is: four threads that fight for a lock inside the C library: the one malloc arena, a
 * FILE, the dynamic linker's, those of thread creation and exit, of the environment. Such a wait
 * looks like a mutex's, but the word behind it is no thread number.
 */
#include "prog.h"
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>

enum { WORKERS = 4 };

static atomic_bool stop;
static atomic_long turns;
static FILE *nowhere;

static void fight_malloc(void)
{
	void *block[64];

	for (int i = 0; i < 64; i++)
		block[i] = malloc(2000 + i);
	for (int i = 0; i < 64; i++)
		free(block[i]);
}

static void fight_stdio(void)
{
	for (int i = 0; i < 64; i++)
		fprintf(nowhere, "%d %s\n", i, "a line");
}

static int look(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)info, (void)size, (void)data;
	return 0;
}

static void fight_dl(void)
{
	for (int i = 0; i < 16; i++)
		dl_iterate_phdr(look, NULL);
}

static void *end_at_once(void *arg)
{
	return arg;
}

static void fight_exit(void)
{
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		thread[i] = prog_thread(end_at_once, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
}

static void fight_env(void)
{
	setenv("STRAND_TEST", "value", 1);
	unsetenv("STRAND_TEST");
}

static void *worker(void *arg)
{
	void (*const *fight)(void) = arg;

	while (!atomic_load(&stop)) {
		(*fight)();
		atomic_fetch_add(&turns, 1);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fight)(void);
	} fights[] = {
		{ "malloc", fight_malloc }, { "stdio", fight_stdio }, { "dl", fight_dl },
		{ "exit", fight_exit },	    { "env", fight_env },
	};
	pthread_t thread[WORKERS];
	void *fight = NULL;

	PROG_CHECK(argc == 2);
	for (size_t i = 0; i < sizeof(fights) / sizeof(*fights); i++)
		if (strcmp(fights[i].name, argv[1]) == 0)
			fight = (void *)&fights[i].fight;
	PROG_CHECK(fight != NULL);
	mallopt(M_ARENA_MAX, 1);
	nowhere = fopen("/dev/null", "w");
	PROG_CHECK(nowhere != NULL);
	for (int i = 0; i < WORKERS; i++)
		thread[i] = prog_thread(worker, fight);
	prog_ready();
	while (!prog_stop())
		usleep(5000);
	atomic_store(&stop, true);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	prog_end(atomic_load(&turns) > 0);
}
