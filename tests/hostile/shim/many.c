/* SPDX-License-Identifier: MIT
 *
 * Very many threads: `sequence N` one after another, joined or detached by turns, `crowd N` all at
 * once. It says `half` after the first half, and waits for a byte then and at the end.
 */
#include "work.h"

static void *nothing(void *arg)
{
	return arg;
}

static void wait_for_byte(const char *line)
{
	char byte;

	prog_say(line);
	PROG_CHECK(read(0, &byte, 1) == 1);
}

static void *post(void *arg)
{
	sem_post(arg);
	return NULL;
}

static void sequence(int n)
{
	pthread_t thread;
	sem_t ended;

	sem_init(&ended, 0, 0);
	for (int i = 0; i < n; i++) {
		if (i % 3) {
			PROG_CHECK(pthread_join(prog_thread(nothing, NULL), NULL) == 0);
			continue;
		}
		thread = prog_thread(post, &ended);
		pthread_detach(thread);
		while (sem_wait(&ended) != 0)
			;
	}
}

int main(int argc, char **argv)
{
	int n = argc == 3 ? atoi(argv[2]) : 0;

	PROG_CHECK(n > 0);
	if (strcmp(argv[1], "sequence") == 0) {
		sequence(n / 2);
		wait_for_byte("half\n");
		sequence(n / 2);
		wait_for_byte("end\n");
	} else {
		printf("%d at once\n", crowd(n, 16384));
	}
	return 0;
}
