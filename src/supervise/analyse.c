/* SPDX-License-Identifier: MIT
 *
 * The analyser of a process that nobody supervises: one image, already held at its exit by the
 * shim that started this. The same steps as the supervisor's, without its other cares.
 */
#include "supervise/supervise.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "supervise/follow.h"
#include "target/target.h"

static int analyse_open(struct follow *f, pid_t pid, const char *path, struct err *e)
{
	int rc = control_create_bare(&f->control, e);

	if (!rc)
		rc = follow_open(f, e);
	if (!rc)
		rc = follow_add_first(f, pid, e);
	if (rc)
		return rc;
	if (f->first->ended)
		return err_set(e, ERR_GONE, "cannot look at process %d", (int)pid);
	rc = table_open(path, true, &f->first->image->table, e);
	if (!rc && table_header(f->first->image->table)->pid != target_read_tid_ns(pid, pid))
		rc = err_set(e, ERR_BAD_FORMAT, "the table '%.300s' is not of process %d", path,
			     (int)pid);
	if (!rc)
		rc = control_follow(f->control, f->first->image->table);
	return rc ? rc : control_start(f->control, e);
}

/* Until it has ended, or goes on (its exec failed). */
static void analyse_watch(struct follow *f)
{
	struct process *p = f->first;
	struct pollfd end = { .fd = p->pidfd, .events = POLLIN };
	int64_t due = 0;

	while (!p->ended) {
		if (poll(&end, 1, due < 0 ? 100 : (int)(due / 1000000)) > 0) {
			p->ended = true;
			break;
		}
		due = image_step(f, p->image);
		if (p->image->state == IMAGE_FOLLOWED || image_was_replaced(p->image))
			break;
	}
}

int supervise_exit(pid_t pid, const char *path, const struct supervise_options *o,
		   struct supervise_result *out, struct err *e)
{
	struct follow f = { .epoll = -1, .grace_ns = o->grace_ns, .max_pause_ns = o->max_pause_ns };
	struct image *i;
	int rc;

	*out = (struct supervise_result){ 0 };
	rc = analyse_open(&f, pid, path, e);
	if (!rc) {
		analyse_watch(&f);
		i = f.first->image;
		image_finish(&f, i);
		if (f.first->ended)
			unlink(path);
		out->models = i->kept;
		i->kept = NULL;
		if (!out->models)
			rc = err_set(e, ERR_ENDED, "cannot look at process %d", (int)pid);
	}
	follow_close(&f);
	control_free(f.control);
	return rc;
}
