/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * load: yes
 * looks: 25
 * looks@global: 200
 * ends: quit
 * args: global | main_frame | own_data | locals
 * variants: -O2 static musl jemalloc tcmalloc mimalloc
 * long: -O0
 *
 * What it is: an idle pool: four workers wait at a queue in a block, which main finds by a global, a
 * variable of its own, its thread-specific data or its thread-locals; with glibc's allocator, with
 * others in front of it, and without glibc. What a careless prover gets wrong: it knows glibc's
 * blocks only and takes what lies elsewhere for free, or for reachable from nowhere.
 */
#include "reach.h"

enum { WORKERS = 4, JOBS = 100 };

struct job {
	struct job *next;
	int number;
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *first;
	long sum;
	bool closed;
	pthread_t worker[WORKERS];
};

static struct queue *global;
static __thread struct queue *local;
static pthread_key_t key;

static REACH_APART struct job *next_job(struct queue *queue)
{
	struct job *job;

	pthread_mutex_lock(&queue->lock);
	while (!queue->first && !queue->closed)
		pthread_cond_wait(&queue->changed, &queue->lock);
	job = queue->first;
	if (job) {
		queue->first = job->next;
		queue->sum += job->number;
	}
	pthread_mutex_unlock(&queue->lock);
	return job;
}

static void *work(void *arg)
{
	struct job *job;

	while ((job = next_job(arg)))
		free(job);
	return NULL;
}

static REACH_APART struct queue *make_queue(void)
{
	struct queue *queue = calloc(1, sizeof(*queue));

	PROG_CHECK(queue);
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->changed, NULL);
	for (int i = 0; i < WORKERS; i++)
		queue->worker[i] = prog_thread(work, queue);
	return queue;
}

static REACH_APART void put_away(const char *where, struct queue **main_frame)
{
	struct queue *queue = make_queue();

	PROG_CHECK(pthread_key_create(&key, NULL) == 0);
	if (strcmp(where, "global") == 0)
		global = queue;
	else if (strcmp(where, "main_frame") == 0)
		*main_frame = queue;
	else if (strcmp(where, "own_data") == 0)
		PROG_CHECK(pthread_setspecific(key, queue) == 0);
	else
		local = queue;
}

static REACH_APART bool finish(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	for (int i = 1; i <= JOBS; i++) {
		struct job *job = malloc(sizeof(*job));

		PROG_CHECK(job);
		*job = (struct job){ queue->first, i };
		queue->first = job;
	}
	queue->closed = true;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
	for (int i = 0; i < WORKERS; i++)
		PROG_CHECK(pthread_join(queue->worker[i], NULL) == 0);
	return queue->sum == JOBS * (JOBS + 1) / 2;
}

int main(int argc, char **argv)
{
	struct queue *main_frame = NULL;

	PROG_CHECK(argc == 2);
	put_away(argv[1], &main_frame);
	reach_forget();
	prog_ready();
	reach_wait_for_quit();
	if (global)
		prog_end(finish(global));
	else if (local)
		prog_end(finish(local));
	prog_end(finish(main_frame ? main_frame : pthread_getspecific(key)));
}
