/* SPDX-License-Identifier: MIT */
/*
 * The store behind a model: what it hands out, what it finds again, the numbers of tasks.
 */
#include <stdio.h>
#include <string.h>

#include "model/hash.h"
#include "model/model.h"
#include "build_model.h"
#include "unit.h"

static void test_memory_is_zeroed_and_separate(void **state)
{
	struct model *m = build_model();
	char *a = model_alloc(m, 1000), *b = model_alloc(m, 0);
	size_t i;

	(void)state;
	for (i = 0; i < 1000; i++)
		assert_int_equal(a[i], 0);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	assert_int_equal((uintptr_t)a % _Alignof(max_align_t), 0);
	assert_null(model_alloc(m, SIZE_MAX));
	assert_null(model_alloc(m, SIZE_MAX - 8));
	model_free(m);
	model_free(NULL);
}

static void test_equal_strings_are_one(void **state)
{
	struct model *m = build_model();
	char changing[] = "worker";
	const char *s = model_string(m, changing);

	(void)state;
	changing[0] = 'W';
	assert_string_equal(s, "worker");
	assert_ptr_equal(model_string(m, "worker"), s);
	assert_ptr_equal(model_format(m, "w%s%c", "orke", 'r'), s);
	assert_ptr_not_equal(model_string(m, changing), s);
	assert_string_equal(model_string(m, ""), "");
	assert_null(model_string(m, NULL));
	model_free(m);
}

static void test_many_strings_are_found_again(void **state)
{
	struct model *m = build_model();
	const char *first[5000];
	char name[32];
	size_t i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "s%zu", i);
		first[i] = model_string(m, name);
	}
	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "s%zu", i);
		assert_string_equal(first[i], name);
		assert_ptr_equal(model_string(m, name), first[i]);
	}
	model_free(m);
}

static void test_one_object_per_kind_and_address(void **state)
{
	struct model *m = build_model();
	struct object *a = model_object(m, OBJECT_MUTEX, 0x1000);
	size_t i;

	(void)state;
	assert_int_equal(a->kind, OBJECT_MUTEX);
	assert_int_equal(a->address, 0x1000);
	assert_int_equal(a->owner_state, OWNER_NONE);
	assert_null(a->name);
	for (i = 0; i < 2000; i++)
		assert_non_null(model_object(m, OBJECT_FUTEX, 0x2000 + 8 * i));
	assert_ptr_equal(model_object(m, OBJECT_MUTEX, 0x1000), a);
	assert_ptr_not_equal(model_object(m, OBJECT_COND, 0x1000), a);
	assert_ptr_not_equal(model_object(m, OBJECT_MUTEX, 0x1008), a);
	assert_ptr_not_equal(model_object(m, OBJECT_PIPE, 0), model_object(m, OBJECT_PIPE, 0));
	model_free(m);
}

static void test_tasks_are_numbered_by_kind(void **state)
{
	struct model *m = build_model();
	struct task *goroutine = model_add_task(m, TASK_GOROUTINE);
	struct task *main_thread = model_add_task(m, TASK_THREAD);
	struct task *early = model_add_task(m, TASK_GOROUTINE);
	struct task *thread = model_add_task(m, TASK_THREAD);
	struct task *coroutine = model_add_task(m, TASK_COROUTINE);

	(void)state;
	goroutine->goid = 31;
	early->goid = 1;
	model_number_tasks(m);
	assert_string_equal(main_thread->id, "T1");
	assert_string_equal(thread->id, "T2");
	assert_string_equal(goroutine->id, "G31");
	assert_string_equal(early->id, "G1");
	assert_string_equal(coroutine->id, "C1");
	assert_ptr_equal(m->tasks[0], main_thread);
	assert_ptr_equal(m->tasks[1], thread);
	assert_ptr_equal(m->tasks[2], early);
	assert_ptr_equal(m->tasks[3], goroutine);
	assert_ptr_equal(m->tasks[4], coroutine);
	model_free(m);
}

/* Numbers that the recording side gave stay; who has none comes behind all of them. */
static void test_numbers_that_were_given(void **state)
{
	struct model *m = build_model();
	struct task *t[4];
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		t[i] = model_add_task(m, TASK_THREAD);
	t[1]->number = 7;
	t[3]->number = 3;
	m->last_number = 12;
	model_number_tasks(m);
	assert_string_equal(t[0]->id, "T13");
	assert_string_equal(t[1]->id, "T7");
	assert_string_equal(t[2]->id, "T14");
	assert_ptr_equal(m->tasks[0], t[3]);
	assert_ptr_equal(m->tasks[3], t[2]);
	assert_ptr_equal(model_find_thread(m, 7), t[1]);
	assert_ptr_equal(model_find_thread(m, 14), t[2]);
	assert_null(model_find_thread(m, 1));
	t[0] = model_add_task(m, TASK_THREAD);
	model_number_tasks(m);
	assert_string_equal(t[0]->id, "T15");
	assert_string_equal(t[2]->id, "T14");
	model_free(m);
}

static void test_hundred_thousand_tasks(void **state)
{
	struct model *m = build_model();
	struct task *first = model_add_task(m, TASK_THREAD);
	size_t i;

	(void)state;
	for (i = 1; i < 100000; i++)
		assert_non_null(model_add_task(m, TASK_THREAD));
	model_number_tasks(m);
	assert_int_equal(m->task_count, 100000);
	assert_ptr_equal(m->tasks[0], first);
	assert_string_equal(m->tasks[99999]->id, "T100000");
	model_free(m);
}

static void test_notes_are_said_once(void **state)
{
	struct model *m = build_model();

	(void)state;
	assert_int_equal(model_note(m, "thread %d", 7), 0);
	assert_int_equal(model_note(m, "other"), 0);
	assert_int_equal(model_note(m, "thread 7"), 0);
	assert_int_equal(m->note_count, 2);
	assert_string_equal(m->notes[0], "thread 7");
	assert_string_equal(m->notes[1], "other");
	model_free(m);
}

static void test_pseudo_tasks_keep_their_order(void **state)
{
	struct model *m = build_model();
	struct pseudo_task *a = model_add_pseudo(m, "the handler of SIGUSR1");
	struct pseudo_task *b = model_add_pseudo(m, "process 12");

	(void)state;
	assert_ptr_equal(m->pseudo_tasks, a);
	assert_ptr_equal(a->next, b);
	assert_null(b->next);
	assert_string_equal(b->what, "process 12");
	model_free(m);
}

static void test_names_follow_the_tables(void **state)
{
	(void)state;
	assert_string_equal(object_kind_name(OBJECT_NONE), "none");
	assert_string_equal(object_kind_name(OBJECT_OTHER), "other");
	assert_string_equal(wait_op_name(OP_MUTEX_LOCK), "mutex-lock");
	assert_string_equal(wait_op_name(OP_OTHER), "other");
	assert_string_equal(wait_op_words(OP_COND_WAIT), "waits on");
	assert_string_equal(reason_code_name(REASON_CYCLE), "cycle");
	assert_string_equal(reason_code_name(REASON_MAIN_RETURNED), "main-returned");
	assert_string_equal(task_state_name(STATE_ENDED), "ended");
	assert_string_equal(task_kind_name(TASK_COROUTINE), "coroutine");
	assert_string_equal(verdict_name(VERDICT_UNJOINED), "unjoined");
	assert_string_equal(wait_op_name((enum wait_op)99), "?");
}

/* Fingerprints that people keep are made with it: it must never change. */
static void test_the_hash_is_fnv(void **state)
{
	(void)state;
	assert_true(hash_bytes(HASH_START, "", 0) == UINT64_C(0xcbf29ce484222325));
	assert_true(hash_bytes(HASH_START, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(hash_bytes(HASH_START, "foobar", 6) == UINT64_C(0x85944171f73967e8));
	assert_true(hash_string(HASH_START, NULL) == hash_string(HASH_START, ""));
	assert_true(hash_string(HASH_START, "a") != hash_bytes(HASH_START, "a", 1));
}

static bool is_pointer(const void *value, const void *key)
{
	return value == key;
}

static void test_equal_hashes_are_told_apart(void **state)
{
	struct hash_set s = { 0 };
	int values[200] = { 0 };
	size_t i;

	(void)state;
	assert_null(hash_set_find(&s, 1, is_pointer, &values[0]));
	for (i = 0; i < 200; i++)
		assert_int_equal(hash_set_add(&s, i % 2, &values[i]), 0);
	for (i = 0; i < 200; i++) {
		assert_ptr_equal(hash_set_find(&s, i % 2, is_pointer, &values[i]), &values[i]);
		assert_null(hash_set_find(&s, 1 - i % 2, is_pointer, &values[i]));
	}
	assert_int_equal(s.count, 200);
	hash_set_clear(&s);
	assert_null(hash_set_find(&s, 1, is_pointer, &values[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_zeroed_and_separate),
		cmocka_unit_test(test_equal_strings_are_one),
		cmocka_unit_test(test_many_strings_are_found_again),
		cmocka_unit_test(test_one_object_per_kind_and_address),
		cmocka_unit_test(test_tasks_are_numbered_by_kind),
		cmocka_unit_test(test_numbers_that_were_given),
		cmocka_unit_test(test_hundred_thousand_tasks),
		cmocka_unit_test(test_notes_are_said_once),
		cmocka_unit_test(test_pseudo_tasks_keep_their_order),
		cmocka_unit_test(test_names_follow_the_tables),
		cmocka_unit_test(test_the_hash_is_fnv),
		cmocka_unit_test(test_equal_hashes_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
