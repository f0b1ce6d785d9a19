/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * lost: cond-wait
 * lost@exit_list: no
 * load: yes
 * looks: 25
 * looks@global: 200
 * looks@main_frame: 200
 * looks@own_data: 200
 * looks@locals: 200
 * looks@packed: 200
 * looks@tagged: 200
 * ends: quit
 * args: global | read_only_data | main_frame | arguments | own_data | own_data_main
 * args: own_data_second | own_data_far | locals | locals_main | packed | tagged | past_end | middle
 * args: tail | unaligned_tail | list | ring_entry | deep | grown | exit_list | result
 * args: result_to_other
 * variants: -O2
 * long: -O0 stripped clang
 *
 * What it is: the only pointer to the gate stands in one word of the program's own memory. What a
 * careless prover gets wrong: data that was made read-only after it was written; the strings above
 * main's frame; thread-specific data, which lies in the thread's descriptor (the first 32 keys) or
 * in a block that only the descriptor knows; static thread-locals; words at odd addresses; the top
 * 16 bits; pointers to the end or into the middle; a block's last eight bytes, which glibc counts
 * to the next chunk; long ways; the C library's own list of what to do at exit; what a thread that
 * has ended returned, which is in its descriptor until somebody joins it.
 */
#include "keep.h"
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>

enum { PAGE = 4096, LIST_LENGTH = 3000, RING_LENGTH = 50, FAR_KEY = 700 };
enum { TAG_SHIFT = 48, TAG = 0x2bad };

static struct gate *take_from(void *word)
{
	struct gate *gate;

	memcpy(&gate, word, sizeof(gate));
	memset(word, 0, sizeof(gate));
	return gate;
}

static void put_into(void *word, const void *pointer)
{
	memcpy(word, &pointer, sizeof(pointer));
}

/* Data of the program */

static struct gate *global;

static void keep_global(struct gate *gate)
{
	global = gate;
}

static struct gate *give_global(void)
{
	return take_from(&global);
}

static void *read_only[PAGE / sizeof(void *)] __attribute__((aligned(PAGE)));

static void keep_read_only(struct gate *gate)
{
	read_only[100] = gate;
	PROG_CHECK(mprotect(read_only, PAGE, PROT_READ) == 0);
}

static struct gate *give_read_only(void)
{
	PROG_CHECK(mprotect(read_only, PAGE, PROT_READ | PROT_WRITE) == 0);
	return take_from(&read_only[100]);
}

static struct {
	char before;
	struct gate *gate;
} __attribute__((packed)) odd[3];

static void keep_packed(struct gate *gate)
{
	put_into((char *)&odd[2] + 1, gate);
}

static struct gate *give_packed(void)
{
	return take_from((char *)&odd[2] + 1);
}

static uintptr_t tagged;

static void keep_tagged(struct gate *gate)
{
	tagged = (uintptr_t)gate | (uintptr_t)TAG << TAG_SHIFT;
}

static struct gate *give_tagged(void)
{
	uintptr_t word = tagged;

	tagged = 0;
	return (struct gate *)(word & (((uintptr_t)1 << TAG_SHIFT) - 1));
}

static void keep_past_end(struct gate *gate)
{
	put_into(&global, gate + 1);
}

static struct gate *give_past_end(void)
{
	return take_from(&global) - 1;
}

static void keep_middle(struct gate *gate)
{
	put_into(&global, &gate->open);
}

static struct gate *give_middle(void)
{
	return (struct gate *)((char *)take_from(&global) - offsetof(struct gate, open));
}

/* Main's stack */

static void keep_main_frame(struct gate *gate)
{
	keep_spots[1] = gate;
}

static struct gate *give_main_frame(void)
{
	return take_from(&keep_spots[1]);
}

static void keep_arguments(struct gate *gate)
{
	PROG_CHECK(strlen(keep_argv[0]) >= sizeof(gate));
	put_into(keep_argv[0], gate);
}

static struct gate *give_arguments(void)
{
	return take_from(keep_argv[0]);
}

/* Thread-specific data and thread-locals, of main and of another thread */

static pthread_key_t key;
static __thread struct gate *local;

static void make_keys(int n)
{
	for (int i = 0; i < n; i++)
		PROG_CHECK(pthread_key_create(&key, NULL) == 0);
}

static REACH_APART void take_into_own_data(void)
{
	PROG_CHECK(pthread_setspecific(key, keep_take()) == 0);
}

static REACH_APART void give_from_own_data(void)
{
	keep_box = pthread_getspecific(key);
	PROG_CHECK(pthread_setspecific(key, NULL) == 0);
}

static void *hold_in_own_data(void *arg)
{
	take_into_own_data();
	reach_forget();
	keep_wait();
	give_from_own_data();
	reach_forget();
	keep_wait();
	return arg;
}

static void keep_own_data(struct gate *gate)
{
	make_keys(1);
	keep_holder(hold_in_own_data, gate, NULL);
}

static void keep_own_data_second(struct gate *gate)
{
	make_keys(40);
	keep_holder(hold_in_own_data, gate, NULL);
}

static void keep_own_data_far(struct gate *gate)
{
	make_keys(FAR_KEY);
	keep_holder(hold_in_own_data, gate, NULL);
}

static void keep_own_data_main(struct gate *gate)
{
	make_keys(1);
	PROG_CHECK(pthread_setspecific(key, gate) == 0);
}

static struct gate *give_own_data_main(void)
{
	struct gate *gate = pthread_getspecific(key);

	PROG_CHECK(pthread_setspecific(key, NULL) == 0);
	return gate;
}

static void *hold_in_locals(void *arg)
{
	local = keep_take();
	reach_forget();
	keep_wait();
	keep_box = take_from(&local);
	reach_forget();
	keep_wait();
	return arg;
}

static void keep_locals(struct gate *gate)
{
	keep_holder(hold_in_locals, gate, NULL);
}

static void keep_locals_main(struct gate *gate)
{
	local = gate;
}

static struct gate *give_locals_main(void)
{
	return take_from(&local);
}

/* Blocks */

static char *block;

/* Of 24 bytes glibc keeps the last eight where the next chunk begins. */
static void keep_tail(struct gate *gate)
{
	block = malloc(24);
	PROG_CHECK(block && malloc_usable_size(block) == 24 && malloc(24));
	put_into(block + 16, gate);
}

static struct gate *give_tail(void)
{
	return take_from(block + 16);
}

static void keep_unaligned_tail(struct gate *gate)
{
	block = malloc(1000);
	PROG_CHECK(block && malloc_usable_size(block) == 1000 && malloc(24));
	memset(block, 0, 1000);
	put_into(block + 991, gate);
}

static struct gate *give_unaligned_tail(void)
{
	return take_from(block + 991);
}

struct node {
	struct node *next;
	void *thing;
	char name[40];
};

static struct node *head;

static struct node *make_list(int length, struct gate *gate)
{
	struct node *first = NULL;

	for (int i = 0; i < length; i++) {
		struct node *node = calloc(1, sizeof(*node));

		PROG_CHECK(node);
		node->next = first;
		node->thing = i == 0 ? gate : NULL;
		first = node;
	}
	return first;
}

static struct node *last_of(struct node *node)
{
	while (!node->thing)
		node = node->next;
	return node;
}

static void keep_list(struct gate *gate)
{
	head = make_list(LIST_LENGTH, gate);
}

static struct gate *give_list(void)
{
	return take_from(&last_of(head)->thing);
}

/* Every node leads to every other, so the search comes round to where it has been. */
static void keep_ring(struct gate *gate)
{
	struct node *first = make_list(RING_LENGTH, gate);

	last_of(first)->next = first;
	put_into(&head, &first->next->next->name);
}

static struct gate *give_ring(void)
{
	struct node *node = (struct node *)((char *)head - offsetof(struct node, name));

	return take_from(&last_of(node)->thing);
}

/* Small block, large block with a mapping of its own, page, small block. */
static void keep_deep(struct gate *gate)
{
	void **small = calloc(1, 24), **large = calloc(1, 300000), **last = calloc(1, 40);
	void **page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	PROG_CHECK(small && large && last && page != MAP_FAILED);
	last[4] = gate;
	page[511] = &last[1];
	large[30000] = page;
	small[2] = &large[2];
	block = (char *)small;
}

static struct gate *give_deep(void)
{
	void **large = (void **)((void **)block)[2] - 2;
	void **last = (void **)((void **)large[30000])[511] - 1;

	return take_from(&last[4]);
}

/* A block that was moved as it grew, at last by the kernel. */
static void keep_grown(struct gate *gate)
{
	block = NULL;
	for (size_t bytes = 100; bytes < 2000000; bytes *= 2) {
		block = realloc(block, bytes);
		PROG_CHECK(block);
	}
	memset(block, 0, 100000);
	put_into(block + 90001, gate);
}

static struct gate *give_grown(void)
{
	return take_from(block + 90001);
}

/* The C library's list of what is to be done at exit, with its argument; never called here. */
static struct gate *from_exit;

static void open_at_exit(int status, void *arg)
{
	(void)status;
	gate_open(arg);
	PROG_CHECK(pthread_join(keep_waiter, NULL) == 0);
	prog_say("ok\n");
}

static void keep_exit_list(struct gate *gate)
{
	PROG_CHECK(on_exit(open_at_exit, gate) == 0);
}

static struct gate *give_exit_list(void)
{
	exit(0);
	return from_exit;
}

/* What a thread returned, or gave pthread_exit(), and nobody has asked for yet */

static pthread_t ended;

static void *return_taken(void *arg)
{
	(void)arg;
	return keep_take();
}

static void start_and_let_end(struct gate *gate)
{
	keep_box = gate;
	ended = prog_thread(return_taken, NULL);
	while (keep_box)
		prog_nap_ms(1);
	prog_nap_ms(20);
}

static void keep_result(struct gate *gate)
{
	start_and_let_end(gate);
}

static struct gate *give_result(void)
{
	void *result;

	PROG_CHECK(pthread_join(ended, &result) == 0);
	return result;
}

/* The handle is on another thread's stack only. */
static REACH_APART void join_later(void)
{
	volatile pthread_t here = ended;
	void *result;

	ended = 0;
	keep_wait();
	PROG_CHECK(pthread_join(here, &result) == 0);
	keep_box = result;
	*(void *volatile *)&result = NULL;
}

static void *hold_handle(void *arg)
{
	join_later();
	reach_forget();
	keep_wait();
	return arg;
}

static void keep_result_to_other(struct gate *gate)
{
	start_and_let_end(gate);
	keep_holder(hold_handle, NULL, NULL);
}

static const struct place places[] = {
	{ "global", keep_global, give_global, NULL },
	{ "read_only_data", keep_read_only, give_read_only, NULL },
	{ "main_frame", keep_main_frame, give_main_frame, NULL },
	{ "arguments", keep_arguments, give_arguments, NULL },
	{ "own_data", keep_own_data, keep_ask_holder, NULL },
	{ "own_data_main", keep_own_data_main, give_own_data_main, NULL },
	{ "own_data_second", keep_own_data_second, keep_ask_holder, NULL },
	{ "own_data_far", keep_own_data_far, keep_ask_holder, NULL },
	{ "locals", keep_locals, keep_ask_holder, NULL },
	{ "locals_main", keep_locals_main, give_locals_main, NULL },
	{ "packed", keep_packed, give_packed, NULL },
	{ "tagged", keep_tagged, give_tagged, NULL },
	{ "past_end", keep_past_end, give_past_end, NULL },
	{ "middle", keep_middle, give_middle, NULL },
	{ "tail", keep_tail, give_tail, NULL },
	{ "unaligned_tail", keep_unaligned_tail, give_unaligned_tail, NULL },
	{ "list", keep_list, give_list, NULL },
	{ "ring_entry", keep_ring, give_ring, NULL },
	{ "deep", keep_deep, give_deep, NULL },
	{ "grown", keep_grown, give_grown, NULL },
	{ "exit_list", keep_exit_list, give_exit_list, NULL },
	{ "result", keep_result, give_result, NULL },
	{ "result_to_other", keep_result_to_other, keep_ask_holder, NULL },
};

KEEP_MAIN(places)
