/* SPDX-License-Identifier: MIT
 *
 * The child's side and the look's. The two talk by a pair of pipes, empty while the child is looked
 * at.
 */
#include "scene.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "child.h"
#include "unit.h"

static void run_child(const struct scene *scene, int out, int in)
{
	int told[8] = { 0 };
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(60);
	scene->put(told);
	CHECK(write(out, told, sizeof(told)) == sizeof(told));
	while (read(in, &byte, 1) > 0)
		;
	if (scene->take)
		scene->take(told);
	_exit(0);
}

void scene_read(struct looked *l, const struct stop_limits *limits, useconds_t wait_us)
{
	struct capture c = { .pid = l->pid, .through = l->pid };

	assert_int_equal(stop_begin(l->pid, limits, &c.stop, &l->e), 0);
	usleep(wait_us);
	assert_int_equal(held_read(&c, &l->held, &l->e), 0);
	stop_end(c.stop);
	stop_free(c.stop);
}

void scene_look(const struct scene *scene, struct looked *l)
{
	/* However busy the machine is: every thread has to stop. */
	const struct stop_limits limits = { 20000000000, 2000000000, 3, 0 };
	int out[2], in[2];

	memset(l, 0, sizeof(*l));
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(in), 0);
	l->pid = fork();
	assert_true(l->pid >= 0);
	if (!l->pid) {
		close(out[0]);
		close(in[1]);
		run_child(scene, out[1], in[0]);
	}
	close(out[1]);
	close(in[0]);
	l->go = in[1];
	assert_int_equal(read(out[0], l->told, sizeof(l->told)), sizeof(l->told));
	close(out[0]);
	while (!child_sleeps(l->pid, SYS_read)) {
		assert_int_equal(waitpid(l->pid, NULL, WNOHANG), 0);
		usleep(1000);
	}
	scene_read(l, &limits, 0);
}

void scene_finish(struct looked *l)
{
	int status;

	close(l->go);
	assert_int_equal(waitpid(l->pid, &status, 0), l->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	held_free(&l->held);
}

size_t scene_count(const struct looked *l, uint64_t word, const char *what, int number)
{
	const struct held *h = &l->held;
	char name[64];
	size_t n = 0;

	snprintf(name, sizeof(name), "%s %d", what ? what : "", number);
	for (size_t i = 0; i < h->piece_count; i++) {
		const struct held_piece *p = &h->pieces[i];

		assert_true(p->offset + p->count <= h->byte_count);
		for (size_t k = 0; k + sizeof(word) <= p->count; k++)
			n += !memcmp(h->bytes + p->offset + k, &word, sizeof(word)) &&
			     (!what || !strcmp(p->what, number < 0 ? what : name));
	}
	return n;
}

void scene_check_unread(const struct looked *l, const char *unread)
{
	if (!unread)
		assert_string_equal(l->held.unread, "");
	else if (!strstr(l->held.unread, unread))
		fail_msg("unread is \"%s\" and not \"%s\"", l->held.unread, unread);
}
