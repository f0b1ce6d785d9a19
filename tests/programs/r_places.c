/* SPDX-License-Identifier: MIT
 *
 * expect@main_arena: stuck cond-wait unreachable 1
 * expect@thread_arena: stuck cond-wait unreachable 1
 * expect@large: stuck cond-wait unreachable 1
 * expect@beside_much: stuck cond-wait unreachable 1
 * expect@aligned: stuck cond-wait unreachable 1
 * expect@list: stuck cond-wait unreachable 1
 * expect@ring: stuck cond-wait unreachable 1
 * expect@fan: stuck cond-wait unreachable 1
 * expect@chain: stuck cond-wait unreachable 2
 * expect@crossed: stuck cond-wait unreachable 2
 * expect@own_stack: stuck cond-wait unreachable 1
 * expect@own_locals: stuck cond-wait unreachable 1
 * expect@own_data: stuck cond-wait unreachable 1
 * expect@pool: stuck cond-wait unreachable 4
 * expect@ended: stuck cond-wait unreachable 1
 * expect@unjoined: stuck cond-wait unreachable 1
 * expect@freed: stuck cond-wait unreachable 1
 * creator: stuck set_up main
 * frame: gate_wait
 * args: main_arena | thread_arena | large | beside_much | aligned | list | ring | fan | chain | crossed
 * args: own_stack | own_locals | own_data | pool | ended | unjoined | freed
 * runs: 20
 * variants: -O0 -O2
 *
 * What it is: forgotten objects of which there are words all the same, but none that live code can
 * get at: blocks of each kind; blocks in a list whose head is lost, in a ring, thousands that
 * point to one; stacks, thread-locals and thread-specific data of the stuck threads themselves;
 * a pool with all its workers; the stacks of threads that have ended, and blocks that were freed.
 */
#include "reach.h"

enum { LIST_LENGTH = 500, FAN = 5000, LARGE_BYTES = 300000, MUCH_BYTES = 104 << 20, WORKERS = 4 };

static REACH_APART void wait_at(struct gate *gate)
{
	prog_thread(gate_waiter, gate);
}

static struct gate *gate_at(void *place)
{
	PROG_CHECK(place);
	gate_init(place);
	return place;
}

static void set_up_main_arena(void)
{
	wait_at(gate_new());
}

static void *new_gate(void *arg)
{
	(void)arg;
	return gate_new();
}

static void set_up_thread_arena(void)
{
	pthread_t thread = prog_thread(new_gate, NULL);
	void *gate;

	PROG_CHECK(pthread_join(thread, &gate) == 0);
	wait_at(gate);
}

static void set_up_large(void)
{
	wait_at(gate_at((char *)calloc(1, LARGE_BYTES) + LARGE_BYTES / 2));
}

/* Live data of which there is too much to be copied. */
static char *much;

static void set_up_beside_much(void)
{
	much = malloc(MUCH_BYTES);
	PROG_CHECK(much);
	memset(much, 1, MUCH_BYTES);
	wait_at(gate_new());
}

static void set_up_aligned(void)
{
	wait_at(gate_at(aligned_alloc(4096, 4096)));
}

/* Blocks that lead to each other and to the gate */

struct node {
	struct node *next, *previous;
	struct gate *gate;
};

static struct node *new_node(struct node *next, struct gate *gate)
{
	struct node *node = calloc(1, sizeof(*node));

	PROG_CHECK(node);
	node->next = next;
	node->gate = gate;
	if (next)
		next->previous = node;
	return node;
}

static struct node *make_list(struct gate *gate)
{
	struct node *first = NULL;

	for (int i = 0; i < LIST_LENGTH; i++)
		first = new_node(first, i % 100 == 0 ? gate : NULL);
	return first;
}

static void set_up_list(void)
{
	struct gate *gate = gate_new();

	make_list(gate);
	wait_at(gate);
}

static void set_up_ring(void)
{
	struct gate *gate = gate_new();
	struct node *first = make_list(gate);
	struct node *last = first;

	while (last->next)
		last = last->next;
	last->next = first;
	first->previous = last;
	wait_at(gate);
}

static void set_up_fan(void)
{
	struct gate *gate = gate_new();

	for (int i = 0; i < FAN; i++)
		new_node(NULL, gate);
	wait_at(gate);
}

/* Threads that wait, and know other gates */

static pthread_barrier_t both;

struct pair {
	struct gate *own, *other;
};

static void *wait_with_other(void *arg)
{
	struct pair *pair = arg;
	struct gate *volatile other = pair->other;
	struct gate *own = pair->own;

	free(pair);
	pthread_barrier_wait(&both);
	gate_wait(own);
	gate_open(other);
	return NULL;
}

static void start_with(struct gate *own, struct gate *other)
{
	struct pair *pair = malloc(sizeof(*pair));

	PROG_CHECK(pair);
	*pair = (struct pair){ own, other };
	prog_thread(wait_with_other, pair);
}

static void set_up_chain(void)
{
	struct gate *first = gate_new(), *second = gate_new();

	pthread_barrier_init(&both, NULL, 2);
	start_with(first, second);
	pthread_barrier_wait(&both);
	wait_at(second);
}

static void set_up_crossed(void)
{
	struct gate *first = gate_new(), *second = gate_new();

	pthread_barrier_init(&both, NULL, 3);
	start_with(first, second);
	start_with(second, first);
	pthread_barrier_wait(&both);
}

/* What is a stuck thread's own is nobody else's. */

static __thread struct gate local;
static pthread_key_t key;

static void *wait_on_own_stack(void *arg)
{
	struct gate gate;

	gate_init(&gate);
	gate_wait(&gate);
	return arg;
}

static void *wait_at_own_local(void *arg)
{
	gate_init(&local);
	gate_wait(&local);
	return arg;
}

static void *wait_by_own_data(void *arg)
{
	PROG_CHECK(pthread_setspecific(key, gate_new()) == 0);
	gate_wait(pthread_getspecific(key));
	return arg;
}

static void set_up_own_stack(void)
{
	prog_thread(wait_on_own_stack, NULL);
}

static void set_up_own_locals(void)
{
	prog_thread(wait_at_own_local, NULL);
}

static void set_up_own_data(void)
{
	PROG_CHECK(pthread_key_create(&key, NULL) == 0);
	prog_thread(wait_by_own_data, NULL);
}

struct pool {
	struct gate gate;
	struct pool *self;
	pthread_t worker[WORKERS];
};

static void set_up_pool(void)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	gate_at(&pool->gate);
	pool->self = pool;
	for (int i = 0; i < WORKERS; i++)
		pool->worker[i] = prog_thread(gate_waiter, &pool->gate);
}

/* Dead memory */

static void *remember(void *arg)
{
	struct gate *volatile here[64];

	for (size_t i = 0; i < sizeof(here) / sizeof(*here); i++)
		here[i] = arg;
	prog_nap_ms(1);
	return here[63];
}

static void set_up_ended(void)
{
	struct gate *gate = gate_new();

	PROG_CHECK(pthread_join(prog_thread(remember, gate), NULL) == 0);
	wait_at(gate);
}

/* Its stack is kept until somebody joins it, which nobody does. */
static struct gate *volatile box;

static void *remember_box(void *arg)
{
	remember(box);
	return arg;
}

static void set_up_unjoined(void)
{
	struct gate *gate = gate_new();

	box = gate;
	prog_thread(remember_box, NULL);
	prog_nap_ms(50);
	box = NULL;
	wait_at(gate);
}

/* Blocks of many sizes that pointed to it are free, some in each kind of list that glibc has. */
static void set_up_freed(void)
{
	struct gate *gate = gate_new();
	void **block[400];

	for (size_t i = 0; i < 400; i++) {
		size_t words = 3 + i % 8 * (i % 8) * 20;

		block[i] = malloc(words * sizeof(void *));
		PROG_CHECK(block[i]);
		for (size_t word = 0; word < words; word++)
			block[i][word] = gate;
	}
	for (size_t i = 0; i < 400; i++)
		free(block[i]);
	memset(block, 0, sizeof(block));
	wait_at(gate);
}

static REACH_APART void set_up(const char *name)
{
	static const struct {
		const char *name;
		void (*set_up)(void);
	} known[] = {
		{ "main_arena", set_up_main_arena },
		{ "thread_arena", set_up_thread_arena },
		{ "large", set_up_large },
		{ "beside_much", set_up_beside_much },
		{ "aligned", set_up_aligned },
		{ "list", set_up_list },
		{ "ring", set_up_ring },
		{ "fan", set_up_fan },
		{ "chain", set_up_chain },
		{ "crossed", set_up_crossed },
		{ "own_stack", set_up_own_stack },
		{ "own_locals", set_up_own_locals },
		{ "own_data", set_up_own_data },
		{ "pool", set_up_pool },
		{ "ended", set_up_ended },
		{ "unjoined", set_up_unjoined },
		{ "freed", set_up_freed },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(known[i].name, name) == 0) {
			known[i].set_up();
			REACH_STAY();
			return;
		}
	}
	_exit(99);
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
