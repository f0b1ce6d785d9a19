/* SPDX-License-Identifier: MIT
 *
 * Clients ask, and wait for the answer in a block that nobody but the one who will answer can
 * find: by bytes in a pipe or socket, as the argument of a thread just born, of a chain of such, of
 * a timer's thread, through a queue, with a tag in the top bits of a word that is polled. Objects
 * are of every kind and in blocks of every size, while blocks come, grow and go. Every wait
 * is ended in time and every answer is checked: none of it is ever stuck.
 */
#include "../programs/prog.h"
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>

enum { CLIENTS = 6, SERVERS = 2, SLOTS = 4, KEPT = 40, TAG_SHIFT = 48, LARGE = 140000 };

/* A question with its answer, somewhere within a block. */
struct ask {
	void *block;
	bool by_sem;
	sem_t answered;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
	long number, answer;
	int depth; /* of births until somebody answers */
};

struct node {
	struct node *next;
	struct ask *ask;
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct node *first;
	bool closed;
};

struct meeting {
	pthread_barrier_t barrier;
	pthread_rwlock_t lock;
	long number;
};

static int pipe_ends[2], socket_ends[2];
static struct queue *queue;
static uint64_t slots[SLOTS];
static bool ending, clients_gone;
static long asked, answered;

static unsigned draw(unsigned *seed, unsigned below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % below;
}

static void nap(void)
{
	usleep(100);
}

static void *must(void *block)
{
	PROG_CHECK(block);
	return block;
}

static bool is_ending(void)
{
	return __atomic_load_n(&ending, __ATOMIC_SEQ_CST);
}

/* Asking and answering */

static struct ask *ask_new(unsigned *seed)
{
	size_t before = draw(seed, 5) ? 8 * draw(seed, 30) : 8 * draw(seed, LARGE / 8);
	char *block = must(malloc(before + sizeof(struct ask) + draw(seed, 100)));
	struct ask *ask = (struct ask *)(block + before);

	memset(ask, 0, sizeof(*ask));
	ask->block = block;
	ask->by_sem = draw(seed, 2);
	ask->number = draw(seed, 10000);
	sem_init(&ask->answered, 0, 0);
	pthread_mutex_init(&ask->lock, NULL);
	pthread_cond_init(&ask->changed, NULL);
	__atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST);
	return ask;
}

static void ask_answer(struct ask *ask)
{
	__atomic_add_fetch(&answered, 1, __ATOMIC_SEQ_CST);
	if (ask->by_sem) {
		ask->answer = ask->number * 2 + 1;
		sem_post(&ask->answered);
		return;
	}
	pthread_mutex_lock(&ask->lock);
	ask->answer = ask->number * 2 + 1;
	ask->done = true;
	pthread_cond_signal(&ask->changed);
	pthread_mutex_unlock(&ask->lock);
}

static __attribute__((noipa)) void ask_wait(struct ask *ask)
{
	if (ask->by_sem) {
		while (sem_wait(&ask->answered) != 0)
			;
		return;
	}
	pthread_mutex_lock(&ask->lock);
	while (!ask->done)
		pthread_cond_wait(&ask->changed, &ask->lock);
	pthread_mutex_unlock(&ask->lock);
}

static void ask_end(struct ask *ask)
{
	ask_wait(ask);
	PROG_CHECK(ask->answer == ask->number * 2 + 1);
	free(ask->block);
}

/* The ways from one to the other */

static void *serve_descriptor(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct ask *ask;

	while (read(fd, &ask, sizeof(ask)) == sizeof(ask) && ask) {
		nap();
		ask_answer(ask);
	}
	return NULL;
}

static void ask_by_descriptor(int fd, struct ask *ask)
{
	PROG_CHECK(write(fd, &ask, sizeof(ask)) == sizeof(ask));
	ask_end(ask);
}

static void birth(void *(*start)(void *), void *arg)
{
	pthread_attr_t detached;
	pthread_t thread;

	PROG_CHECK(pthread_attr_init(&detached) == 0);
	PROG_CHECK(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0);
	PROG_CHECK(pthread_create(&thread, &detached, start, arg) == 0);
}

static void *answer_at_birth(void *arg)
{
	struct ask *ask = arg;

	if (ask->depth-- > 0)
		birth(answer_at_birth, ask);
	else
		ask_answer(ask);
	return NULL;
}

static void ask_by_birth(struct ask *ask, int depth)
{
	ask->depth = depth;
	birth(answer_at_birth, ask);
	ask_end(ask);
}

static struct ask *queue_take(struct queue *from)
{
	struct ask *ask = NULL;
	struct node *node;

	pthread_mutex_lock(&from->lock);
	while (!from->first && !from->closed)
		pthread_cond_wait(&from->changed, &from->lock);
	node = from->first;
	if (node) {
		from->first = node->next;
		ask = node->ask;
	}
	pthread_mutex_unlock(&from->lock);
	free(node);
	return ask;
}

static void *serve_queue(void *arg)
{
	struct ask *ask;

	while ((ask = queue_take(queue))) {
		nap();
		ask_answer(ask);
	}
	return arg;
}

static void ask_by_queue(struct ask *ask)
{
	struct node *node = must(malloc(sizeof(*node)));

	pthread_mutex_lock(&queue->lock);
	*node = (struct node){ queue->first, ask };
	queue->first = node;
	pthread_cond_signal(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
	ask_end(ask);
}

/* Somebody looks at the slots now and then; what is there has a tag. */
static void *serve_slots(void *arg)
{
	while (!__atomic_load_n(&clients_gone, __ATOMIC_SEQ_CST)) {
		for (int i = 0; i < SLOTS; i++) {
			uint64_t word = __atomic_exchange_n(&slots[i], 0, __ATOMIC_SEQ_CST);

			if (word)
				ask_answer((struct ask *)(word & ((1ull << TAG_SHIFT) - 1)));
		}
		usleep(500);
	}
	return arg;
}

static void ask_by_slot(struct ask *ask, unsigned at)
{
	uint64_t word = (uint64_t)ask | (uint64_t)(at + 0x5a00) << TAG_SHIFT, empty = 0;

	while (!__atomic_compare_exchange_n(&slots[at % SLOTS], &empty, word, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		empty = 0;
		usleep(100);
	}
	ask_end(ask);
}

static void answer_by_timer(union sigval value)
{
	ask_answer(value.sival_ptr);
}

static void ask_by_timer(struct ask *ask)
{
	struct itimerspec soon = { .it_value = { .tv_nsec = 300000 } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD };
	timer_t timer;

	event.sigev_notify_function = answer_by_timer;
	event.sigev_value.sival_ptr = ask;
	PROG_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	PROG_CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
	ask_end(ask);
	PROG_CHECK(timer_delete(timer) == 0);
}

/* A barrier, and a lock that is read while somebody wants to write */

static void *meet(void *arg)
{
	struct meeting *meeting = arg;

	pthread_rwlock_rdlock(&meeting->lock);
	pthread_barrier_wait(&meeting->barrier);
	nap();
	pthread_rwlock_unlock(&meeting->lock);
	return NULL;
}

static void have_meeting(void)
{
	struct meeting *meeting = must(calloc(1, sizeof(*meeting)));
	pthread_t thread[2];

	pthread_barrier_init(&meeting->barrier, NULL, 3);
	pthread_rwlock_init(&meeting->lock, NULL);
	for (int i = 0; i < 2; i++)
		thread[i] = prog_thread(meet, meeting);
	pthread_barrier_wait(&meeting->barrier);
	pthread_rwlock_wrlock(&meeting->lock);
	meeting->number++;
	pthread_rwlock_unlock(&meeting->lock);
	for (int i = 0; i < 2; i++)
		PROG_CHECK(pthread_join(thread[i], NULL) == 0);
	pthread_barrier_destroy(&meeting->barrier);
	pthread_rwlock_destroy(&meeting->lock);
	free(meeting);
}

/* Blocks of all sizes come, grow and go; what was written must still be there. */
static void change_blocks(char **kept, size_t *sizes, unsigned *seed)
{
	for (int i = 0; i < 5; i++) {
		unsigned at = draw(seed, KEPT);
		size_t bytes = 1 + (draw(seed, 30) ? draw(seed, 4000) : draw(seed, 3 * LARGE));

		PROG_CHECK(!kept[at] ||
			   (kept[at][0] == (char)at && kept[at][sizes[at] - 1] == (char)at));
		if (draw(seed, 2)) {
			free(kept[at]);
			kept[at] = NULL;
		}
		kept[at] = must(realloc(kept[at], bytes));
		sizes[at] = bytes;
		kept[at][0] = kept[at][bytes - 1] = (char)at;
	}
}

static void ask_somehow(unsigned *seed)
{
	struct ask *ask = ask_new(seed);

	switch (draw(seed, 7)) {
	case 0:
		return ask_by_descriptor(pipe_ends[1], ask);
	case 1:
		return ask_by_descriptor(socket_ends[1], ask);
	case 2:
		return ask_by_birth(ask, 0);
	case 3:
		return ask_by_birth(ask, 1 + (int)draw(seed, 3));
	case 4:
		return ask_by_queue(ask);
	case 5:
		return ask_by_slot(ask, draw(seed, 100));
	default:
		return ask_by_timer(ask);
	}
}

static void *be_client(void *arg)
{
	size_t sizes[KEPT] = { 0 };
	char *kept[KEPT] = { NULL };
	unsigned seed = (unsigned)(uintptr_t)arg;

	while (!is_ending()) {
		ask_somehow(&seed);
		change_blocks(kept, sizes, &seed);
		if (draw(&seed, 8) == 0)
			have_meeting();
		if (draw(&seed, 3) == 0)
			nap();
	}
	for (int i = 0; i < KEPT; i++)
		free(kept[i]);
	return NULL;
}

static void end_servers(pthread_t *server, int n)
{
	struct ask *none = NULL;

	for (int i = 0; i < SERVERS; i++) {
		PROG_CHECK(write(pipe_ends[1], &none, sizeof(none)) == sizeof(none));
		PROG_CHECK(write(socket_ends[1], &none, sizeof(none)) == sizeof(none));
	}
	pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
	for (int i = 0; i < n; i++)
		PROG_CHECK(pthread_join(server[i], NULL) == 0);
}

int main(void)
{
	pthread_t client[CLIENTS], server[3 * SERVERS], poller;
	int n = 0;

	PROG_CHECK(pipe(pipe_ends) == 0);
	PROG_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, socket_ends) == 0);
	queue = must(calloc(1, sizeof(*queue)));
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->changed, NULL);
	for (int i = 0; i < SERVERS; i++) {
		server[n++] = prog_thread(serve_descriptor, (void *)(intptr_t)pipe_ends[0]);
		server[n++] = prog_thread(serve_descriptor, (void *)(intptr_t)socket_ends[0]);
		server[n++] = prog_thread(serve_queue, NULL);
	}
	poller = prog_thread(serve_slots, NULL);
	for (uintptr_t i = 0; i < CLIENTS; i++)
		client[i] = prog_thread(be_client, (void *)(i * 7919 + (uintptr_t)getpid()));
	prog_ready();
	while (!prog_stop())
		prog_nap_ms(20);
	__atomic_store_n(&ending, true, __ATOMIC_SEQ_CST);
	for (int i = 0; i < CLIENTS; i++)
		PROG_CHECK(pthread_join(client[i], NULL) == 0);
	__atomic_store_n(&clients_gone, true, __ATOMIC_SEQ_CST);
	end_servers(server, n);
	PROG_CHECK(pthread_join(poller, NULL) == 0);
	prog_end(asked == answered && asked > 0);
}
