/* SPDX-License-Identifier: MIT
 *
 * expect@cond: stuck cond-wait unreachable 1
 * expect@sem: stuck sem-wait unreachable 1
 * expect@barrier: stuck barrier-wait unreachable 2
 * expect@readers: stuck rwlock-wrlock unreachable 1
 * checked@readers: stuck rwlock-wrlock owner-ended 1
 * expect@futex: stuck futex-wait unreachable 1
 * expect@behind: stuck cond-wait unreachable 1
 * expect@behind: stuck mutex-lock owner-stuck 1
 * kind@cond: cond
 * kind@sem: semaphore
 * kind@barrier: barrier
 * kind@readers: rwlock
 * kind@futex: futex
 * kind@behind: cond mutex
 * creator: stuck start set_up main
 * args: cond | sem | barrier | readers | futex | behind
 * runs: 20
 * variants: -O0 -O2
 *
 * What it is: an object in a block that the program has forgotten while a thread waits there: a
 * queue whose condition nobody can signal, a semaphore, a barrier of three where two have come, a
 * lock that threads which have ended still hold for reading, a word; and a mutex whose owner waits
 * at such a condition. Main is live, and has nothing that leads to any of them.
 */
#include "reach.h"
#include <linux/futex.h>
#include <semaphore.h>
#include <sys/syscall.h>

enum { BLOCK_BYTES = 200 };

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t ready;
	int jobs;
};

static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;
static volatile bool table_taken;

static REACH_APART void start(void *(*run)(void *), void *arg)
{
	prog_thread(run, arg);
}

static void *block(void)
{
	void *at = calloc(1, BLOCK_BYTES);

	PROG_CHECK(at);
	return at;
}

static void *take_job(void *arg)
{
	struct queue *queue = arg;

	pthread_mutex_lock(&queue->lock);
	while (queue->jobs == 0)
		pthread_cond_wait(&queue->ready, &queue->lock);
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

static void *take_job_with_table(void *arg)
{
	pthread_mutex_lock(&table);
	table_taken = true;
	take_job(arg);
	pthread_mutex_unlock(&table);
	return NULL;
}

static void *take_table(void *arg)
{
	while (!table_taken)
		prog_nap_ms(1);
	pthread_mutex_lock(&table);
	pthread_mutex_unlock(&table);
	return arg;
}

static void *wait_sem(void *arg)
{
	while (sem_wait(arg) != 0)
		;
	return NULL;
}

static void *meet(void *arg)
{
	pthread_barrier_wait(arg);
	return NULL;
}

static void *read_and_leave(void *arg)
{
	PROG_CHECK(pthread_rwlock_rdlock(arg) == 0);
	return NULL;
}

static void *write_lock(void *arg)
{
	PROG_CHECK(pthread_rwlock_wrlock(arg) == 0);
	return NULL;
}

static void *wait_word(void *arg)
{
	int *word = arg;

	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == 7)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 7, NULL, NULL, 0);
	return NULL;
}

static REACH_APART void set_up_readers(pthread_rwlock_t *lock)
{
	pthread_rwlock_init(lock, NULL);
	for (int i = 0; i < 2; i++)
		PROG_CHECK(pthread_join(prog_thread(read_and_leave, lock), NULL) == 0);
	start(write_lock, lock);
}

static REACH_APART void set_up_queue(void *(*run)(void *))
{
	struct queue *queue = block();

	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->ready, NULL);
	start(run, queue);
}

static REACH_APART void set_up(const char *what)
{
	if (strcmp(what, "cond") == 0) {
		set_up_queue(take_job);
	} else if (strcmp(what, "behind") == 0) {
		set_up_queue(take_job_with_table);
		start(take_table, NULL);
	} else if (strcmp(what, "sem") == 0) {
		sem_t *sem = block();

		sem_init(sem, 0, 0);
		start(wait_sem, sem);
	} else if (strcmp(what, "barrier") == 0) {
		pthread_barrier_t *barrier = block();

		pthread_barrier_init(barrier, NULL, 3);
		start(meet, barrier);
		start(meet, barrier);
	} else if (strcmp(what, "readers") == 0) {
		set_up_readers(block());
	} else {
		int *word = block();

		*word = 7;
		start(wait_word, word);
	}
	__asm__ volatile(
		""); /* what was called last is not a jump: it must be seen as the creator */
}

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2);
	set_up(argv[1]);
	reach_forget();
	prog_ready();
	prog_sleep_long();
	return 0;
}
