/* SPDX-License-Identifier: MIT
 *
 * The search for references and the walk over what it found, on a memory made by hand: page i of it
 * is one area, and word k of a page may point to any other. Every rule with its opposite.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "prove/prove.h"
#include "prove/search.h"

enum {
	PAGE = 4096,
	PAGES = 24,
	BASE = 0x10000000, /* of the made memory */
	THREADS = 4,
	WORKER = 0, /* index: whose liveness is the question */
	OTHER = 1,
	CERTAIN = 2, /* live, whatever comes */
	PARKED = 3,  /* never live: objects lie in its thread-locals */
};

#define TID(index) (100 + (index))

struct world {
	uint8_t bytes[PAGES * PAGE];
	struct area areas[PAGES];
	struct extent pages;
	struct reach_thread threads[THREADS];
	struct search_piece pieces[4];
	size_t piece_count;
	uint64_t objects[4];
	size_t object_count;
	uint64_t handle;
	size_t limit;
	struct reach *reach;
};

static uint64_t address_of(unsigned page)
{
	return BASE + (uint64_t)page * PAGE;
}

static size_t world_read(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	const struct world *w = ctx;
	uint64_t end = BASE + sizeof(w->bytes);

	if (address < BASE || address >= end)
		return 0;
	if (bytes > end - address)
		bytes = (size_t)(end - address);
	memcpy(buf, w->bytes + (address - BASE), bytes);
	return bytes;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->pages = (struct extent){ BASE, BASE + sizeof(w->bytes) };
	w->limit = 1 << 20;
	for (unsigned i = 0; i < PAGES; i++)
		w->areas[i] = (struct area){ address_of(i), address_of(i + 1), AREA_WHOLE,
					     AREA_NO_THREAD, i };
	for (unsigned i = 0; i < THREADS; i++)
		w->threads[i] = (struct reach_thread){ TID(i), i == CERTAIN, false };
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	reach_free(w->reach);
	free(w);
	return 0;
}

static void make(struct world *w, unsigned page, enum area_kind kind, uint32_t thread)
{
	w->areas[page].kind = kind;
	w->areas[page].thread = thread;
}

/* Byte `offset` of a page begins a word that holds `value`. */
static void put(struct world *w, unsigned page, unsigned offset, uint64_t value)
{
	memcpy(w->bytes + (size_t)page * PAGE + offset, &value, sizeof(value));
}

static void point(struct world *w, unsigned from, unsigned to)
{
	put(w, from, 128, address_of(to) + 64);
}

static void search(struct world *w)
{
	struct areas areas = { w->areas, PAGES };
	struct search_input in = {
		.memory = { world_read, w },
		.pages = &w->pages,
		.page_count = 1,
		.areas = &areas,
		.pieces = w->pieces,
		.piece_count = w->piece_count,
		.threads = w->threads,
		.thread_count = THREADS,
		.objects = w->objects,
		.object_count = w->object_count,
		.handles = &w->handle,
		.handle_count = w->handle ? 1 : 0,
		.limit_bytes = w->limit,
		.helpers = 2,
	};
	struct err e = { 0 };

	assert_int_equal(search_run(&in, &w->reach, &e), 0);
	assert_non_null(w->reach);
}

/* Somebody is live, and the certain thread is. */
static void begin(struct world *w)
{
	reach_begin(w->reach, true);
	reach_add_everybody(w->reach);
	reach_add_thread(w->reach, TID(CERTAIN));
}

static void search_object(struct world *w, unsigned page)
{
	if (w->areas[page].kind == AREA_WHOLE)
		make(w, page, AREA_LOCALS, PARKED);
	w->objects[0] = address_of(page) + 200;
	w->object_count = 1;
	search(w);
	begin(w);
}

static void assert_reached(struct world *w)
{
	assert_null(reach_given_up(w->reach));
	assert_true(reach_has(w->reach, w->objects[0]));
}

static void assert_unreached(struct world *w)
{
	assert_null(reach_given_up(w->reach));
	assert_false(reach_has(w->reach, w->objects[0]));
}

static void test_nobody_refers_to_it(void **state)
{
	search_object(*state, 5);
	assert_unreached(*state);
}

static void test_static_data_refers_to_it(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STATIC, AREA_NO_THREAD);
	point(w, 1, 5);
	search_object(w, 5);
	assert_reached(w);
}

static void test_it_lies_in_static_data(void **state)
{
	struct world *w = *state;

	make(w, 5, AREA_STATIC, AREA_NO_THREAD);
	search_object(w, 5);
	assert_reached(w);
	assert_true(reach_is_everybodys(w->reach, w->objects[0]));
}

/* Blocks are not known there: anybody may find it by an offset. */
static void test_it_lies_in_a_mapping(void **state)
{
	struct world *w = *state;

	w->objects[0] = address_of(5) + 200;
	w->object_count = 1;
	search(w);
	begin(w);
	assert_reached(w);
	assert_true(reach_is_everybodys(w->reach, w->objects[0]));
}

static void test_it_lies_nowhere_known(void **state)
{
	struct world *w = *state;

	w->objects[0] = 0x700000;
	w->object_count = 1;
	search(w);
	begin(w);
	assert_reached(w);
}

static void test_a_long_way_from_a_live_stack(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STACK, CERTAIN);
	point(w, 1, 9);
	point(w, 9, 3);
	point(w, 3, 12);
	point(w, 12, 2);
	point(w, 2, 5);
	search_object(w, 5);
	assert_reached(w);
}

static void test_a_ring_that_nobody_reaches(void **state)
{
	struct world *w = *state;

	point(w, 5, 6);
	point(w, 6, 7);
	point(w, 7, 5);
	search_object(w, 5);
	assert_unreached(w);
}

static void test_only_its_waiter_refers_to_it(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STACK, WORKER);
	point(w, 1, 5);
	search_object(w, 5);
	assert_unreached(w);
	reach_add_thread(w->reach, TID(WORKER));
	assert_reached(w);
}

static void test_a_frame_is_reached_by_a_pointer_to_it(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STACK, WORKER);
	make(w, 2, AREA_STATIC, AREA_NO_THREAD);
	point(w, 1, 5);
	point(w, 2, 1);
	search_object(w, 5);
	assert_reached(w);
}

static void test_a_frame_does_not_lead_to_its_neighbour(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STACK, WORKER);
	make(w, 2, AREA_STACK, WORKER);
	make(w, 3, AREA_STATIC, AREA_NO_THREAD);
	point(w, 2, 5);
	point(w, 3, 1);
	search_object(w, 5);
	assert_unreached(w);
}

static void test_a_descriptor_is_its_threads_alone(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_DESCRIPTOR, WORKER);
	make(w, 2, AREA_STATIC, AREA_NO_THREAD);
	point(w, 1, 5);
	point(w, 2, 1);
	search_object(w, 5);
	assert_unreached(w);
	reach_add_thread(w->reach, TID(WORKER));
	assert_reached(w);
}

static void test_dead_memory_leads_nowhere(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_DEAD, AREA_NO_THREAD);
	make(w, 2, AREA_STATIC, AREA_NO_THREAD);
	point(w, 1, 5);
	point(w, 2, 1);
	search_object(w, 5);
	assert_unreached(w);
}

static void test_a_register(void **state)
{
	struct world *w = *state;
	uint64_t registers[4] = { 0, 0, address_of(5) + 4, 0 };

	w->pieces[0] = (struct search_piece){ PLACE_REGISTERS, WORKER, NULL,
					      (const uint8_t *)registers, sizeof(registers) };
	w->piece_count = 1;
	search_object(w, 5);
	assert_unreached(w);
	reach_add_thread(w->reach, TID(WORKER));
	assert_reached(w);
}

static void test_what_the_kernel_holds(void **state)
{
	struct world *w = *state;
	uint64_t data = address_of(5);

	w->pieces[0] = (struct search_piece){ PLACE_KERNEL, AREA_NO_THREAD, "epoll data",
					      (const uint8_t *)&data, sizeof(data) };
	w->piece_count = 1;
	search_object(w, 5);
	assert_reached(w);
}

static void test_a_tagged_word_at_an_odd_place(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STATIC, AREA_NO_THREAD);
	put(w, 1, 1001, UINT64_C(0xbeef) << 48 | (address_of(5) + 7));
	search_object(w, 5);
	assert_reached(w);
}

static void test_one_past_the_end(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STATIC, AREA_NO_THREAD);
	w->areas[5].end -= 64;
	put(w, 1, 0, w->areas[5].end);
	search_object(w, 5);
	assert_reached(w);
}

static void test_a_page_where_other_memory_begins(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STATIC, AREA_NO_THREAD);
	put(w, 1, 0, address_of(6));
	search_object(w, 5);
	assert_unreached(w);
}

static void test_just_outside(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STATIC, AREA_NO_THREAD);
	put(w, 1, 0, address_of(6) + 1);
	put(w, 1, 64, address_of(5) - 1);
	search_object(w, 5);
	assert_unreached(w);
}

/* A word is where its first byte is; it may end on the next page. */
static void test_a_word_across_two_areas(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STATIC, AREA_NO_THREAD);
	put(w, 1, PAGE - 3, address_of(5));
	search_object(w, 5);
	assert_reached(w);
}

static void test_memory_mapped_twice(void **state)
{
	struct world *w = *state;

	w->areas[9].same = 8;
	make(w, 1, AREA_STATIC, AREA_NO_THREAD);
	point(w, 1, 9); /* the program knows one of the two mappings … */
	point(w, 8, 5); /* … and the word is seen in the other */
	search_object(w, 5);
	assert_reached(w);
}

static void test_thread_locals_where_a_handler_may_run(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_LOCALS, WORKER);
	point(w, 1, 5);
	search_object(w, 5);
	assert_unreached(w);
	reach_add_handler(w->reach, TID(WORKER));
	assert_reached(w);
}

/* The descriptor of the thread in which it runs leads a handler to data, not to frames. */
static void test_frames_where_a_handler_may_run(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STACK, WORKER);
	make(w, 2, AREA_DESCRIPTOR, WORKER);
	point(w, 1, 5);
	point(w, 2, 1);
	search_object(w, 5);
	reach_add_handler(w->reach, TID(WORKER));
	assert_unreached(w);
	reach_add_thread(w->reach, TID(WORKER));
	assert_reached(w);
}

static void test_another_threads_frames(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STACK, OTHER);
	make(w, 2, AREA_DESCRIPTOR, WORKER);
	point(w, 1, 5);
	point(w, 2, 1);
	search_object(w, 5);
	assert_unreached(w);
	reach_add_handler(w->reach, TID(WORKER));
	assert_reached(w);
}

static void test_the_frame_of_main(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_MAIN_FRAME, AREA_NO_THREAD);
	point(w, 1, 5);
	search_object(w, 5);
	assert_reached(w);
	reach_begin(w->reach, false);
	reach_add_everybody(w->reach);
	assert_unreached(w);
}

/* Once the other is live the worker's object is reached: what it takes was found although nobody
 * knew whether the other is. */
static void test_who_is_reached_by_one_that_comes_to_life(void **state)
{
	struct world *w = *state;

	make(w, 1, AREA_STACK, OTHER);
	make(w, 2, AREA_STACK, WORKER);
	point(w, 1, 9);
	point(w, 9, 5);
	point(w, 2, 5);
	search_object(w, 5);
	assert_unreached(w);
	reach_add_thread(w->reach, TID(OTHER));
	assert_reached(w);
}

static void test_a_handle(void **state)
{
	struct world *w = *state;

	w->handle = address_of(7) + 0x40;
	make(w, 7, AREA_DESCRIPTOR, WORKER);
	make(w, 1, AREA_STATIC, AREA_NO_THREAD);
	put(w, 1, 0, w->handle + 704);
	search(w);
	begin(w);
	assert_false(reach_has(w->reach, w->handle));
	reach_free(w->reach);
	put(w, 1, 8, w->handle);
	search(w);
	begin(w);
	assert_true(reach_has(w->reach, w->handle));
}

static void test_unknown_addresses_and_threads(void **state)
{
	struct world *w = *state;

	search_object(w, 5);
	assert_true(reach_has(w->reach, 0x1234));
	assert_false(reach_is_everybodys(w->reach, 0x1234));
	assert_true(reach_is_certain(w->reach, 4711));
	assert_true(reach_is_certain(w->reach, TID(CERTAIN)));
	assert_false(reach_is_certain(w->reach, TID(WORKER)));
}

static void test_too_many_references(void **state)
{
	struct world *w = *state;

	w->limit = 100;
	search_object(w, 5);
	assert_non_null(reach_given_up(w->reach));
	assert_true(reach_has(w->reach, w->objects[0]));
}

/* From few places, but over and over: what is kept of them for a round is bounded, too. */
static void test_too_many_words(void **state)
{
	struct world *w = *state;

	w->limit = 65536;
	make(w, 5, AREA_LOCALS, PARKED);
	for (unsigned at = 0; at < PAGE; at += 8)
		put(w, 6, at, address_of(5) + 64);
	search_object(w, 5);
	assert_unreached(w);
	reach_free(w->reach);
	for (unsigned page = 7; page < 7 + 12; page++)
		for (unsigned at = 0; at < PAGE; at += 8)
			put(w, page, at, address_of(5) + 64);
	search(w);
	assert_non_null(reach_given_up(w->reach));
	assert_true(reach_has(w->reach, w->objects[0]));
}

static struct task *add_waiter(struct model *m, unsigned index, uint64_t address)
{
	struct task *t = model_add_task(m, TASK_THREAD);

	assert_non_null(t);
	t->tid = TID(index);
	t->state = STATE_BLOCKED;
	t->wait = model_alloc(m, sizeof(*t->wait));
	assert_non_null(t->wait);
	t->wait->op = OP_COND_WAIT;
	t->wait->object = model_object(m, OBJECT_COND, address);
	assert_non_null(t->wait->object);
	return t;
}

/* The worker refers to the other's object and the other to the worker's; main runs. */
static void test_proved_with_reasons(void **state)
{
	struct world *w = *state;
	struct model *m;
	struct task *worker, *other, *main_task;
	bool any;

	assert_int_equal(model_create(&m), 0);
	main_task = model_add_task(m, TASK_THREAD);
	main_task->tid = TID(CERTAIN);
	main_task->state = STATE_RUNNING;
	worker = add_waiter(m, WORKER, address_of(5) + 200);
	other = add_waiter(m, OTHER, address_of(6) + 200);
	model_number_tasks(m);
	assert_int_equal(prove_find_candidates(m, &any), 0);
	assert_true(any && worker->candidate && other->candidate && !main_task->candidate);

	make(w, 1, AREA_STACK, WORKER);
	make(w, 2, AREA_STACK, OTHER);
	make(w, 3, AREA_STACK, CERTAIN);
	point(w, 1, 6);
	point(w, 2, 5);
	make(w, 5, AREA_LOCALS, PARKED);
	make(w, 6, AREA_LOCALS, PARKED);
	w->objects[0] = address_of(5) + 200;
	w->objects[1] = address_of(6) + 200;
	w->object_count = 2;
	search(w);
	assert_int_equal(prove_tasks(m, w->reach), 0);
	assert_int_equal(worker->verdict, VERDICT_STUCK);
	assert_int_equal(worker->reason, REASON_UNREACHABLE);
	assert_int_equal(other->verdict, VERDICT_STUCK);
	assert_int_equal(m->proof, PROOF_FULL);
	assert_int_equal(worker->wait->object->referrer_count, 1);
	assert_ptr_equal(worker->wait->object->referrers[0], other);

	reach_free(w->reach);
	point(w, 3, 6); /* main knows the other's object: one wakes the other */
	search(w);
	worker->wait->object->home = other->wait->object->home = NULL;
	assert_int_equal(prove_tasks(m, w->reach), 0);
	assert_true(worker->live && other->live);
	assert_int_equal(other->wait->object->path_length, 2);
	assert_ptr_equal(other->wait->object->path[0].task, main_task);
	assert_int_equal(other->wait->object->path[0].kind, PLACE_STACK);
	assert_int_equal(worker->wait->object->path_length, 2);
	assert_ptr_equal(worker->wait->object->path[0].task, other);
	model_free(m);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_nobody_refers_to_it),
		TEST(test_static_data_refers_to_it),
		TEST(test_it_lies_in_static_data),
		TEST(test_it_lies_in_a_mapping),
		TEST(test_it_lies_nowhere_known),
		TEST(test_a_long_way_from_a_live_stack),
		TEST(test_a_ring_that_nobody_reaches),
		TEST(test_only_its_waiter_refers_to_it),
		TEST(test_a_frame_is_reached_by_a_pointer_to_it),
		TEST(test_a_frame_does_not_lead_to_its_neighbour),
		TEST(test_a_descriptor_is_its_threads_alone),
		TEST(test_dead_memory_leads_nowhere),
		TEST(test_a_register),
		TEST(test_what_the_kernel_holds),
		TEST(test_a_tagged_word_at_an_odd_place),
		TEST(test_one_past_the_end),
		TEST(test_a_page_where_other_memory_begins),
		TEST(test_just_outside),
		TEST(test_a_word_across_two_areas),
		TEST(test_memory_mapped_twice),
		TEST(test_thread_locals_where_a_handler_may_run),
		TEST(test_frames_where_a_handler_may_run),
		TEST(test_another_threads_frames),
		TEST(test_the_frame_of_main),
		TEST(test_who_is_reached_by_one_that_comes_to_life),
		TEST(test_a_handle),
		TEST(test_unknown_addresses_and_threads),
		TEST(test_too_many_references),
		TEST(test_too_many_words),
		TEST(test_proved_with_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
