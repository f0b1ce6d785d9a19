/* SPDX-License-Identifier: MIT
 *
 * Names made to break whoever prints or parses them: thread names with line ends, terminal escapes,
 * parentheses and bytes that are no UTF-8; a file with such a name behind the descriptor that a
 * thread reads. The harness gives the program itself a name of the same kind. Two threads are in a
 * cycle of two mutexes, so that there is a finding with these names in it.
 */
#include "../programs/prog.h"
#include <fcntl.h>
#include <sys/stat.h>

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t right = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void call_myself(const char *name)
{
	PROG_CHECK(pthread_setname_np(pthread_self(), name) == 0);
}

static void *left_then_right(void *arg)
{
	call_myself("a) Z 1\n\"\\");
	pthread_mutex_lock(&left);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&right);
	return arg;
}

static void *right_then_left(void *arg)
{
	call_myself("\x1b[31m\xff\xfe\x80\r");
	pthread_mutex_lock(&right);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&left);
	return arg;
}

static void *read_fifo(void *path)
{
	char byte;
	int fd;

	call_myself("\t(\xc3(\x01");
	PROG_CHECK(mkfifo(path, 0600) == 0);
	fd = open(path, O_RDWR);
	PROG_CHECK(fd >= 0 && unlink(path) == 0);
	return read(fd, &byte, 1) == 1 ? path : NULL;
}

int main(int argc, char **argv)
{
	pthread_t first;

	PROG_CHECK(argc == 3);
	call_myself("\x1b]0;title\x07\n");
	pthread_barrier_init(&both, NULL, 2);
	prog_thread(read_fifo, argv[1]);
	first = prog_thread(left_then_right, NULL);
	prog_thread(right_then_left, NULL);
	prog_ready();
	pthread_join(first, NULL);
	return 0;
}
