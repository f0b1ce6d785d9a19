/* SPDX-License-Identifier: MIT
 *
 * A program with a heap: blocks MB starts threads, which allocate chunks of 64 bytes to 1 KiB, linked
 * with each other and reached from a global, until the heap has MB megabytes. Then they wait for
 * work, all but one at a queue of the program; the queue of the last one is forgotten, so that a
 * look has to search the heap for who may know it. Says "ready BYTES". Linked with LeakSanitizer it
 * looks for leaks at each line of its input, and says how many nanoseconds that took. Ends with
 * its parent.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define THREADS	    10 /* main is one of them */
#define CHUNK_MIN   64
#define CHUNK_MAX   1024
#define KNOWN_EVERY 16 /* each so manieth chunk may be referred to by later ones */

struct chunk {
	struct chunk *previous, *other;
	char text[];
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	int jobs;
};

struct worker {
	uint64_t random;
	size_t bytes;
	struct queue *queue;
};

/* Each thread's own, to which everything it allocated is linked. */
static struct chunk *newest[THREADS];
static struct queue *queue;
static atomic_int done;

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void *check(void *p)
{
	if (!p)
		exit(77);
	return p;
}

/* So many bytes, of which malloc takes some for itself. */
static void fill(int number, size_t bytes)
{
	uint64_t random = 88172645463325252u + (uint64_t)number;
	struct chunk *known = NULL;
	size_t count = 0;

	for (size_t used = 0; used < bytes; count++) {
		size_t size = CHUNK_MIN + next_random(&random) % (CHUNK_MAX - CHUNK_MIN + 1);
		struct chunk *c = check(malloc(size));

		memset(c->text, (int)('a' + count % 26), size - sizeof(*c));
		c->previous = newest[number];
		c->other = known;
		newest[number] = c;
		if (next_random(&random) % KNOWN_EVERY == 0)
			known = c;
		used += size + sizeof(size_t);
	}
}

static void *work(void *arg)
{
	struct worker w = *(struct worker *)arg;
	struct queue *mine = w.queue;

	free(arg);
	fill((int)w.random, w.bytes);
	memset(&w, 0, sizeof(w));
	done++;
	pthread_mutex_lock(&mine->lock);
	while (!mine->jobs)
		pthread_cond_wait(&mine->filled, &mine->lock);
	pthread_mutex_unlock(&mine->lock);
	return NULL;
}

static struct queue *make_queue(void)
{
	struct queue *q = check(calloc(1, sizeof(*q)));

	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->filled, NULL);
	return q;
}

/* Returns with nothing of the last one's queue left in main's frames. */
static __attribute__((noinline)) void start_all(size_t bytes)
{
	pthread_t t;

	queue = make_queue();
	for (int i = 1; i < THREADS; i++) {
		struct worker *w = check(malloc(sizeof(*w)));

		*w = (struct worker){ (uint64_t)i, bytes, i == THREADS - 1 ? make_queue() : queue };
		if (pthread_create(&t, NULL, work, w))
			exit(77);
	}
}

static __attribute__((noinline)) void scrub(void)
{
	volatile char nothing[16384];

	for (size_t i = 0; i < sizeof(nothing); i++)
		nothing[i] = 0;
}

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
	size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 8) << 20;
	char line[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	start_all(bytes / THREADS);
	fill(0, bytes / THREADS);
	while (done < THREADS - 1)
		usleep(1000);
	scrub();
	printf("ready %zu\n", bytes);
	fflush(stdout);
	while (read(0, line, sizeof(line)) > 0) {
		long long begin = now_ns();

		if (__lsan_do_recoverable_leak_check)
			__lsan_do_recoverable_leak_check();
		printf("%lld\n", now_ns() - begin);
		fflush(stdout);
	}
	return 0;
}
