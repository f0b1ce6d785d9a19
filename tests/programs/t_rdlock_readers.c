/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * args: alive | unlocked_by_another | unlocked_and_hidden | reinitialised | destroyed | many
 * args: one_of_two | recursive
 * ends: quit
 * variants: -O2
 *
 * What it is: twins of rdlock_owner_ended.c. Each time a thread that has read-locked the lock has
 * ended, or a holder was not seen, but a live thread holds it, too, and unlocks it in the end; the
 * writer that waits for it must not be given as stuck.
 */
#include "prog.h"
#include <dlfcn.h>

static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER, others[6];
static pthread_barrier_t locked;
static const char *way;
static int (*hidden_rdlock)(pthread_rwlock_t *), (*hidden_unlock)(pthread_rwlock_t *);

static bool is(const char *other)
{
	return strcmp(way, other) == 0;
}

static void *read_and_return(void *arg)
{
	PROG_CHECK(pthread_rwlock_rdlock(&table) == 0);
	return arg;
}

static void wait_for_quit(void)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };

	PROG_CHECK(poll(&input, 1, -1) == 1);
}

/* The reader that lives: its lock may be hidden from an interposer, or one too many to note. */
static void *read_and_stay(void *arg)
{
	bool hidden = is("unlocked_and_hidden") || is("reinitialised") || is("destroyed");

	for (int i = 0; is("many") && i < 6; i++)
		PROG_CHECK(pthread_rwlock_rdlock(&others[i]) == 0);
	PROG_CHECK((hidden ? hidden_rdlock : pthread_rwlock_rdlock)(&table) == 0);
	if (is("recursive"))
		PROG_CHECK(pthread_rwlock_rdlock(&table) == 0);
	pthread_barrier_wait(&locked);
	wait_for_quit();
	PROG_CHECK((hidden ? hidden_unlock : pthread_rwlock_unlock)(&table) == 0);
	if (is("recursive") || is("one_of_two") || is("many"))
		PROG_CHECK(pthread_rwlock_unlock(&table) == 0);
	return arg;
}

static void *write_table(void *arg)
{
	PROG_CHECK(pthread_rwlock_wrlock(&table) == 0);
	PROG_CHECK(pthread_rwlock_unlock(&table) == 0);
	return arg;
}

static void find_hidden(void)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW);

	if (libc && !dlsym(libc, "pthread_rwlock_rdlock")) /* before 2.34 */
		libc = dlopen("libpthread.so.0", RTLD_NOW);
	PROG_CHECK(libc);
	hidden_rdlock = (int (*)(pthread_rwlock_t *))dlsym(libc, "pthread_rwlock_rdlock");
	hidden_unlock = (int (*)(pthread_rwlock_t *))dlsym(libc, "pthread_rwlock_unlock");
	PROG_CHECK(hidden_rdlock && hidden_unlock);
}

int main(int argc, char **argv)
{
	pthread_t writer, reader;

	PROG_CHECK(argc == 2);
	way = argv[1];
	find_hidden();
	pthread_barrier_init(&locked, NULL, 2);
	for (int i = 0; i < 6; i++)
		pthread_rwlock_init(&others[i], NULL);
	if (!is("alive") && !is("recursive"))
		pthread_join(prog_thread(read_and_return, NULL), NULL);
	if (is("unlocked_by_another") || is("unlocked_and_hidden"))
		PROG_CHECK(pthread_rwlock_unlock(&table) == 0);
	if (is("destroyed"))
		pthread_rwlock_destroy(&table);
	if (is("destroyed"))
		table = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
	if (is("reinitialised"))
		pthread_rwlock_init(&table, NULL);
	reader = prog_thread(read_and_stay, NULL);
	pthread_barrier_wait(&locked);
	writer = prog_thread(write_table, NULL);
	prog_ready();
	pthread_join(writer, NULL);
	pthread_join(reader, NULL);
	prog_end(true);
}
