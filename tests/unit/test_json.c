/* SPDX-License-Identifier: MIT */
/*
 * The JSON report: every key of strand-report/1 is there, of the right type, whatever is known;
 * lists are cut as asked; names that are no UTF-8 do no harm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "config.h"
#include "prove/findings.h"
#include "report/report.h"
#include "build_model.h"
#include "unit.h"

static json_t *parse(const struct model *m, size_t max_tasks, bool all)
{
	char *text = build_report(m, "json", max_tasks, all);
	json_error_t error;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!root)
		fail_msg("%s at line %d column %d in\n%s", error.text, error.line, error.column,
			 text);
	free(text);
	return root;
}

/* The keys of an object are those named, in any order: "a b c". */
static void assert_keys(const json_t *object, const char *keys)
{
	char *list = strdup(keys), *save = NULL, *key;
	size_t n = 0;

	assert_true(json_is_object(object));
	for (key = strtok_r(list, " ", &save); key; key = strtok_r(NULL, " ", &save), n++)
		if (!json_object_get(object, key))
			fail_msg("there is no key %s", key);
	assert_int_equal(json_object_size(object), n);
	free(list);
}

/* Follow "findings.0.wait.op". */
static json_t *get(json_t *root, const char *path)
{
	char *list = strdup(path), *save = NULL, *key;
	json_t *v = root;

	for (key = strtok_r(list, ".", &save); key && v; key = strtok_r(NULL, ".", &save))
		v = json_is_array(v) ? json_array_get(v, strtoul(key, NULL, 10))
				     : json_object_get(v, key);
	if (!v)
		fail_msg("there is no %s", path);
	free(list);
	return v;
}

#define assert_text(root, path, expected) \
	assert_string_equal(json_string_value(get(root, path)), expected)
#define assert_number(root, path, expected)                                      \
	do {                                                                     \
		assert_true(json_is_integer(get(root, path)));                   \
		assert_int_equal(json_integer_value(get(root, path)), expected); \
	} while (0)
#define assert_null_at(root, path) assert_true(json_is_null(get(root, path)))

static const char root_keys[] =
	"schema strand process seen proof pause_ns stops stopped_ns summary findings tasks "
	"truncated notes children";
static const char process_keys[] = "pid ppid exe argv moment status signal modules";
static const char finding_keys[] = "id site verdict count tasks trend wait reason stack created_by "
				   "start";
static const char task_keys[] = "id kind system name tid tid_ns goid parent state verdict finding "
				"wait wait_reason labels stack created_by born_ns start chain";
static const char wait_keys[] = "op since_ns deadline object objects mutex text deadline_left_ns";
static const char object_keys[] = "kind address name owner attribute owner_state owner_tid holders "
				  "block reached_by referrers";
static const char place_keys[] = "kind address bytes at task name type member";
static const char frame_keys[] = "function file line module address inlined system";

static void assert_stack(const json_t *stack)
{
	size_t i;

	assert_true(json_is_array(stack));
	for (i = 0; i < json_array_size(stack); i++)
		assert_keys(json_array_get(stack, i), frame_keys);
}

static void assert_wait(const json_t *wait)
{
	const json_t *object = json_object_get(wait, "object");

	assert_keys(wait, wait_keys);
	assert_true(json_is_boolean(json_object_get(wait, "deadline")));
	assert_true(json_is_array(json_object_get(wait, "objects")));
	if (json_is_null(object)) {
		assert_int_equal(json_array_size(json_object_get(wait, "objects")), 0);
		return;
	}
	assert_keys(object, object_keys);
	assert_int_equal(json_array_size(json_object_get(wait, "objects")), 1);
	assert_true(json_equal(json_array_get(json_object_get(wait, "objects"), 0), object));
}

static void test_every_key_is_there(void **state)
{
	struct model *m = build_shop();
	json_t *root = parse(m, 1000, true), *v;
	size_t i;

	(void)state;
	assert_keys(root, root_keys);
	assert_keys(get(root, "process"), process_keys);
	assert_keys(get(root, "summary"), "tasks stuck alive unjoined suppressed lost");
	json_array_foreach(get(root, "findings"), i, v)
	{
		assert_keys(v, finding_keys);
		assert_keys(json_object_get(v, "reason"), "code group text");
		assert_wait(json_object_get(v, "wait"));
		assert_stack(json_object_get(v, "stack"));
	}
	assert_int_equal(i, 3);
	json_array_foreach(get(root, "tasks"), i, v)
	{
		assert_keys(v, task_keys);
		assert_wait(json_object_get(v, "wait"));
	}
	assert_int_equal(i, 4);
	json_decref(root);
	model_free(m);
}

static void test_the_process_and_the_look(void **state)
{
	struct model *m = build_shop();
	json_t *root;

	(void)state;
	m->modules = model_alloc(m, sizeof(*m->modules));
	m->modules[0] = (struct model_module){ "shop", "/srv/shop", NULL, 0x400000, 0x405000, 0 };
	m->module_count = 1;
	model_note(m, "something was not seen");
	m->seen = SEEN_PARTIAL;
	m->proof = PROOF_OWNERS;
	root = parse(m, 1000, true);
	assert_text(root, "schema", "strand-report/1");
	assert_text(root, "strand", PACKAGE_VERSION);
	assert_number(root, "process.pid", 4711);
	assert_number(root, "process.ppid", 4000);
	assert_text(root, "process.exe", "/srv/shop");
	assert_text(root, "process.argv.1", "--open");
	assert_int_equal(json_array_size(get(root, "process.argv")), 2);
	assert_text(root, "process.moment", "attach");
	assert_null_at(root, "process.status");
	assert_null_at(root, "process.signal");
	assert_keys(get(root, "process.modules.0"), "name path build_id start end offset");
	assert_text(root, "process.modules.0.start", "0x400000");
	assert_null_at(root, "process.modules.0.build_id");
	assert_text(root, "seen", "partial");
	assert_text(root, "proof", "owners");
	assert_number(root, "pause_ns", 1834000);
	assert_number(root, "summary.tasks", 4);
	assert_number(root, "summary.stuck", 3);
	assert_number(root, "summary.alive", 0);
	assert_number(root, "summary.suppressed", 0);
	assert_null_at(root, "truncated");
	assert_text(root, "notes.0", "something was not seen");
	assert_int_equal(json_array_size(get(root, "children")), 0);
	json_decref(root);
	model_free(m);
}

static void test_a_finding(void **state)
{
	struct model *m = build_shop();
	json_t *root = parse(m, 1000, true);

	(void)state;
	assert_text(root, "findings.0.id", m->findings[0]->id);
	assert_text(root, "findings.0.site", m->findings[0]->site);
	assert_text(root, "findings.0.verdict", "stuck");
	assert_number(root, "findings.0.count", 1);
	assert_text(root, "findings.0.tasks.0", "T3");
	assert_null_at(root, "findings.0.trend");
	assert_text(root, "findings.0.wait.op", "mutex-lock");
	assert_null_at(root, "findings.0.wait.since_ns");
	assert_true(json_is_false(get(root, "findings.0.wait.deadline")));
	assert_text(root, "findings.0.wait.object.kind", "mutex");
	assert_text(root, "findings.0.wait.object.address", "0x4c40");
	assert_text(root, "findings.0.wait.object.name", "users_lock");
	assert_text(root, "findings.0.wait.object.owner", "T4");
	assert_text(root, "findings.0.reason.code", "cycle");
	assert_number(root, "findings.0.reason.group", 1);
	assert_number(root, "findings.1.reason.group", 1);
	assert_text(root, "findings.0.reason.text.0",
		    "T3 waits for mutex 0x4c40 `users_lock`, held by T4");
	assert_int_equal(json_array_size(get(root, "findings.0.reason.text")), 2);
	assert_text(root, "findings.0.stack.1.function", "place_order");
	assert_text(root, "findings.0.stack.1.file", "/src/shop.c");
	assert_number(root, "findings.0.stack.1.line", 26);
	assert_text(root, "findings.0.stack.1.module", "shop");
	assert_text(root, "findings.0.stack.1.address", "0x40101a");
	assert_null_at(root, "findings.0.stack.0.file");
	assert_null_at(root, "findings.0.stack.0.line");
	assert_null_at(root, "findings.0.created_by");
	assert_text(root, "findings.2.reason.code", "owner-stuck");
	assert_null_at(root, "findings.2.reason.group");
	json_decref(root);
	model_free(m);
}

static void test_tasks_refer_to_their_finding(void **state)
{
	struct model *m = build_shop();
	json_t *root = parse(m, 1000, true);

	(void)state;
	assert_text(root, "tasks.0.id", "T1");
	assert_text(root, "tasks.0.kind", "thread");
	assert_true(json_is_false(get(root, "tasks.0.system")));
	assert_text(root, "tasks.2.name", "orders");
	assert_number(root, "tasks.2.tid", 4713);
	assert_null_at(root, "tasks.2.goid");
	assert_null_at(root, "tasks.2.parent");
	assert_text(root, "tasks.2.state", "blocked");
	assert_text(root, "tasks.2.verdict", "stuck");
	assert_text(root, "tasks.2.finding", m->findings[0]->id);
	assert_null_at(root, "tasks.2.stack");
	assert_null_at(root, "tasks.2.created_by");
	assert_null_at(root, "tasks.2.labels");
	assert_null_at(root, "tasks.2.wait_reason");
	assert_text(root, "tasks.1.state", "io");
	assert_null_at(root, "tasks.1.verdict");
	assert_null_at(root, "tasks.1.finding");
	assert_text(root, "tasks.1.wait.op", "io");
	assert_null_at(root, "tasks.1.wait.object");
	assert_text(root, "tasks.1.wait.text", "recv(3) unix");
	assert_text(root, "tasks.1.stack.1.function", "greet_customers");
	assert_text(root, "tasks.1.chain.0", "T2 is in recv(3) unix");
	json_decref(root);
	model_free(m);
}

static void test_only_what_differs_from_the_finding_is_repeated(void **state)
{
	static const struct frame first[] = { LIBC("pthread_cond_wait"),
					      FRAME("work", "w.c", 20, 10) };
	static const struct frame other[] = { LIBC("__futex_wait"), LIBC("pthread_cond_wait"),
					      FRAME("work", "w.c", 20, 10) };
	struct model *m = build_model();
	struct task *t[4];
	json_t *root;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		t[i] = build_task(m, NULL);
		t[i]->stack = build_stack(m, first, COUNT(first));
		t[i]->parent = i ? t[0] : NULL;
		build_wait(m, t[i], OP_COND_WAIT, build_object(m, OBJECT_COND, 0x10, NULL));
		build_stuck(t[i], REASON_ALL_ASLEEP, 0);
	}
	t[2]->stack = build_stack(m, other, COUNT(other));
	t[3]->wait->second = build_mutex(m, 0x20, "lock", NULL);
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	root = parse(m, 1000, false);
	assert_number(root, "findings.0.count", 4);
	assert_null_at(root, "tasks.0.stack");
	assert_null_at(root, "tasks.1.stack");
	assert_int_equal(json_array_size(get(root, "tasks.2.stack")), 3);
	assert_null_at(root, "tasks.0.created_by");
	assert_text(root, "tasks.1.created_by.task", "T1");
	assert_null_at(root, "tasks.1.created_by.stack");
	assert_text(root, "tasks.1.parent", "T1");
	assert_text(root, "tasks.3.wait.mutex.name", "lock");
	json_decref(root);
	model_free(m);
}

static void test_where_an_object_lies(void **state)
{
	struct model *m = build_model();
	struct task *t1 = build_task(m, NULL), *t2 = build_task(m, NULL);
	struct object *o = build_object(m, OBJECT_COND, 0x5578, NULL);
	struct place home = { .kind = PLACE_BLOCK, .start = 0x5578, .bytes = 168, .at = 0x5578 };
	struct place path[] = { { .kind = PLACE_LOCALS, .task = t1, .at = 0x7010 }, home };
	json_t *root;

	(void)state;
	build_wait(m, t2, OP_COND_WAIT, o);
	model_number_tasks(m);
	root = parse(m, 1000, true);
	assert_null_at(root, "tasks.1.wait.object.block");
	assert_null_at(root, "tasks.1.wait.object.reached_by");
	assert_null_at(root, "tasks.1.wait.object.referrers");
	json_decref(root);

	o->home = &home;
	o->referrers = &t2;
	o->referrer_count = 1;
	root = parse(m, 1000, true);
	assert_keys(get(root, "tasks.1.wait.object.block"),
		    "kind address bytes offset type member");
	assert_text(root, "tasks.1.wait.object.block.kind", "block");
	assert_text(root, "tasks.1.wait.object.block.address", "0x5578");
	assert_number(root, "tasks.1.wait.object.block.bytes", 168);
	assert_number(root, "tasks.1.wait.object.block.offset", 0);
	assert_null_at(root, "tasks.1.wait.object.block.type");
	assert_null_at(root, "tasks.1.wait.object.reached_by");
	assert_text(root, "tasks.1.wait.object.referrers.0", "T2");
	json_decref(root);

	home.type = path[1].type = "struct queue";
	home.member = "changed";
	o->path = path;
	o->path_length = 2;
	root = parse(m, 1000, true);
	assert_text(root, "tasks.1.wait.object.block.type", "struct queue");
	assert_text(root, "tasks.1.wait.object.block.member", "changed");
	assert_int_equal(json_array_size(get(root, "tasks.1.wait.object.reached_by")), 2);
	assert_keys(get(root, "tasks.1.wait.object.reached_by.0"), place_keys);
	assert_text(root, "tasks.1.wait.object.reached_by.0.kind", "thread-locals");
	assert_text(root, "tasks.1.wait.object.reached_by.0.task", "T1");
	assert_text(root, "tasks.1.wait.object.reached_by.0.at", "0x7010");
	assert_null_at(root, "tasks.1.wait.object.reached_by.0.address");
	assert_text(root, "tasks.1.wait.object.reached_by.1.type", "struct queue");
	assert_null_at(root, "tasks.1.wait.object.referrers");
	json_decref(root);
	model_free(m);
}

static void test_nothing_is_known(void **state)
{
	struct model *m;
	json_t *root;

	(void)state;
	assert_int_equal(model_create(&m), 0);
	model_add_task(m, TASK_THREAD);
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	root = parse(m, 1000, true);
	assert_keys(root, root_keys);
	assert_keys(get(root, "process"), process_keys);
	assert_null_at(root, "process.exe");
	assert_null_at(root, "process.argv");
	assert_null_at(root, "process.moment");
	assert_text(root, "seen", "none");
	assert_text(root, "proof", "none");
	assert_keys(get(root, "tasks.0"), task_keys);
	assert_null_at(root, "tasks.0.tid");
	assert_null_at(root, "tasks.0.name");
	assert_null_at(root, "tasks.0.wait");
	assert_null_at(root, "tasks.0.chain");
	assert_null_at(root, "tasks.0.stack");
	json_decref(root);
	model_free(m);
}

static void test_owners_that_are_no_tasks_of_ours(void **state)
{
	struct model *m = build_model();
	struct object *o = build_mutex(m, 0x10, NULL, NULL);
	struct wait *w = build_wait(m, build_task(m, NULL), OP_MUTEX_LOCK, o);
	json_t *root;

	(void)state;
	o->owner_state = OWNER_FOREIGN;
	o->owner_tid = 12;
	w->since_ns = 93;
	w->has_deadline = true;
	w->deadline_left_ns = 5;
	model_number_tasks(m);
	root = parse(m, 1000, true);
	assert_null_at(root, "tasks.0.wait.object.owner");
	assert_text(root, "tasks.0.wait.object.owner_state", "foreign");
	assert_number(root, "tasks.0.wait.object.owner_tid", 12);
	assert_number(root, "tasks.0.wait.since_ns", 93);
	assert_true(json_is_true(get(root, "tasks.0.wait.deadline")));
	assert_number(root, "tasks.0.wait.deadline_left_ns", 5);
	json_decref(root);
	model_free(m);
}

static void test_unjoined_findings_have_no_wait(void **state)
{
	struct model *m = build_model();
	struct task *t = build_task(m, NULL);
	json_t *root;

	(void)state;
	t->state = STATE_ENDED;
	t->verdict = VERDICT_UNJOINED;
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	root = parse(m, 1000, true);
	assert_keys(get(root, "findings.0"), finding_keys);
	assert_text(root, "findings.0.verdict", "unjoined");
	assert_null_at(root, "findings.0.wait");
	assert_null_at(root, "findings.0.stack");
	assert_null_at(root, "findings.0.reason.code");
	assert_int_equal(json_array_size(get(root, "findings.0.reason.text")), 0);
	assert_number(root, "summary.unjoined", 1);
	json_decref(root);
	model_free(m);
}

static void test_how_it_ended(void **state)
{
	struct model *m = build_shop();
	json_t *root;

	(void)state;
	m->moment = MOMENT_EXIT;
	m->exit_status = 3;
	m->lost = 5;
	root = parse(m, 1000, false);
	assert_text(root, "process.moment", "exit");
	assert_number(root, "process.status", 3);
	assert_null_at(root, "process.signal");
	assert_number(root, "summary.lost", 5);
	json_decref(root);
	m->moment = MOMENT_KILLED;
	m->exit_status = -1;
	m->exit_signal = 9;
	root = parse(m, 1000, false);
	assert_text(root, "process.moment", "killed");
	assert_null_at(root, "process.status");
	assert_number(root, "process.signal", 9);
	json_decref(root);
	model_free(m);
}

/* Each with everything, flat: children of children beside them. */
static void test_children(void **state)
{
	struct model *m = build_shop(), *child = build_shop(), *grandchild = build_model();
	json_t *root, *v;
	size_t i;

	(void)state;
	m->next = child;
	child->next = grandchild;
	child->pid = 4712;
	grandchild->pid = 4713;
	root = parse(m, 1000, false);
	assert_number(root, "process.pid", 4711);
	assert_number(root, "summary.stuck", 3);
	json_array_foreach(get(root, "children"), i, v)
	{
		assert_keys(v, root_keys);
		assert_int_equal(json_array_size(get(v, "children")), 0);
	}
	assert_int_equal(i, 2);
	assert_number(root, "children.0.process.pid", 4712);
	assert_number(root, "children.0.summary.stuck", 3);
	assert_number(root, "children.1.process.pid", 4713);
	assert_number(root, "children.1.summary.stuck", 0);
	json_decref(root);
	model_free(m);
	model_free(child);
	model_free(grandchild);
}

static void test_creators_and_readers(void **state)
{
	static const struct frame starts[] = { FRAME("worker", "/src/shop.c", 30, 30) };
	struct model *m = build_shop();
	struct object *o = build_object(m, OBJECT_RWLOCK, 0x90, NULL);
	json_t *root;

	(void)state;
	m->tasks[1]->parent_number = 77; /* it has ended, and is not there any more */
	m->tasks[1]->start = build_stack(m, starts, 1);
	m->tasks[1]->born_ns = 500;
	m->tasks[1]->created_by = build_stack(m, starts, 1);
	o->holders = m->tasks + 2;
	o->holder_count = 2;
	build_wait(m, m->tasks[1], OP_RWLOCK_WRLOCK, o);
	root = parse(m, 1000, true);
	assert_text(root, "tasks.1.parent", "T77");
	assert_text(root, "tasks.1.created_by.task", "T77");
	assert_text(root, "tasks.1.created_by.stack.0.function", "worker");
	assert_text(root, "tasks.1.start.function", "worker");
	assert_number(root, "tasks.1.born_ns", 500);
	assert_null_at(root, "tasks.0.born_ns");
	assert_text(root, "tasks.1.wait.object.holders.0", "T3");
	assert_text(root, "tasks.1.wait.object.holders.1", "T4");
	assert_null_at(root, "tasks.1.wait.object.owner");
	json_decref(root);
	model_free(m);
}

static struct model *build_crowd(size_t idle)
{
	struct model *m = build_model();
	struct task *main_task = build_task(m, NULL), *t, *owner;
	size_t i;

	build_io(m, main_task, "poll(3)");
	for (i = 0; i < idle; i++)
		build_io(m, build_task(m, NULL), "read(0)");
	owner = build_task(m, "owner");
	for (i = 0; i < 3; i++) {
		t = build_task(m, NULL);
		build_wait(m, t, OP_MUTEX_LOCK, build_mutex(m, 0x100 + 8 * i, NULL, t));
		build_stuck(t, REASON_SELF, 0);
	}
	build_wait(m, build_task(m, NULL), OP_MUTEX_LOCK, build_mutex(m, 0x500, NULL, owner));
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	return m;
}

static void test_lists_are_cut(void **state)
{
	struct model *m = build_crowd(20); /* T1, T2-T21 idle, T22 owner, T23-T25 stuck, T26 */
	json_t *root = parse(m, 4, true);

	(void)state;
	assert_int_equal(json_array_size(get(root, "tasks")), 4);
	assert_text(root, "tasks.0.id", "T22"); /* others hang on it */
	assert_text(root, "tasks.1.id", "T23");
	assert_text(root, "tasks.3.id", "T25");
	assert_number(root, "truncated.tasks", 22);
	assert_number(root, "truncated.findings", 0);
	assert_number(root, "summary.tasks", 26);
	json_decref(root);
	root = parse(m, 2, true);
	assert_int_equal(json_array_size(get(root, "tasks")), 2);
	assert_int_equal(json_array_size(get(root, "findings.0.tasks")), 2);
	assert_number(root, "findings.0.count", 3);
	assert_number(root, "truncated.tasks", 24);
	assert_number(root, "truncated.findings", 1);
	assert_number(root, "summary.stuck", 3);
	json_decref(root);
	root = parse(m, 26, true);
	assert_null_at(root, "truncated");
	json_decref(root);
	model_free(m);
}

static void test_without_all_only_tasks_of_findings(void **state)
{
	struct model *m = build_crowd(20);
	json_t *root = parse(m, 1000, false);

	(void)state;
	assert_int_equal(json_array_size(get(root, "tasks")), 3);
	assert_null_at(root, "truncated");
	assert_number(root, "summary.tasks", 26);
	json_decref(root);
	model_free(m);
}

static void test_names_of_any_bytes(void **state)
{
	static const char *const names[] = { "\xff\xfe",
					     "a\xc3",
					     "\xed\xa0\x80",
					     "\xc0\x80x",
					     "tab\there \"quoted\" \\ \x1b[31m",
					     "käse",
					     "" };
	static const char *const clean[] = {
		"\xef\xbf\xbd\xef\xbf\xbd",
		"a\xef\xbf\xbd",
		"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
		"\xef\xbf\xbd\xef\xbf\xbdx",
		"tab\there \"quoted\" \\ \x1b[31m",
		"käse",
		"",
	};
	struct model *m = build_model();
	char path[40];
	json_t *root;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(names); i++)
		build_task(m, names[i]);
	m->exe = names[0];
	m->argv[1] = names[1];
	model_note(m, "%s", names[2]);
	model_number_tasks(m);
	root = parse(m, 1000, true);
	for (i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "tasks.%zu.name", i);
		assert_text(root, path, clean[i]);
	}
	assert_text(root, "process.exe", clean[0]);
	assert_text(root, "notes.0", clean[2]);
	json_decref(root);
	model_free(m);
}

static void test_reports_are_deterministic(void **state)
{
	struct model *a = build_shop(), *b = build_shop();
	char *ta = build_report(a, "json", 1000, true), *tb = build_report(b, "json", 1000, true);

	(void)state;
	assert_string_equal(ta, tb);
	free(ta);
	free(tb);
	model_free(a);
	model_free(b);
}

/* /dev/full takes nothing: the caller must be able to see that. */
static void test_a_full_disk_is_seen(void **state)
{
	struct model *m = build_shop();
	struct report_options o = { .all = true, .max_tasks = 10 };
	struct err e = { 0 };
	FILE *f = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(f);
	setvbuf(f, NULL, _IONBF, 0);
	assert_int_equal(report_find("json")->write(m, &o, f, &e), 0);
	assert_true(ferror(f));
	fclose(f);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key_is_there),
		cmocka_unit_test(test_the_process_and_the_look),
		cmocka_unit_test(test_a_finding),
		cmocka_unit_test(test_tasks_refer_to_their_finding),
		cmocka_unit_test(test_only_what_differs_from_the_finding_is_repeated),
		cmocka_unit_test(test_where_an_object_lies),
		cmocka_unit_test(test_nothing_is_known),
		cmocka_unit_test(test_owners_that_are_no_tasks_of_ours),
		cmocka_unit_test(test_unjoined_findings_have_no_wait),
		cmocka_unit_test(test_how_it_ended),
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_creators_and_readers),
		cmocka_unit_test(test_lists_are_cut),
		cmocka_unit_test(test_without_all_only_tasks_of_findings),
		cmocka_unit_test(test_names_of_any_bytes),
		cmocka_unit_test(test_reports_are_deterministic),
		cmocka_unit_test(test_a_full_disk_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
