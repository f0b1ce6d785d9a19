/* SPDX-License-Identifier: MIT
 *
 * A look at a core file: as at a process, but that nothing has to be stopped, nothing changes any
 * more, and nobody can be asked what the core does not hold.
 */
#include "look_private.h"

#include "readers/capture_core.h"

static int look_note_core(const struct look *l)
{
	size_t n;
	const char *const *remarks = core_remarks(l->core, &n);
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = model_note(l->model, "%s", remarks[i]);
	if (!rc && l->target->forked)
		rc = model_note(l->model,
				"the process was made by fork, or it is not known whether "
				"it was: its locks may name threads of another process");
	return rc;
}

int look_at_core(const char *path, const char *exe, const char *sysroot, struct model **out,
		 struct err *e)
{
	const struct look_options o = { .moment = MOMENT_CORE };
	const struct stop_limits limits = STOP_LIMITS_DEFAULT;
	struct look l = { 0 };
	int rc;

	*out = NULL;
	rc = core_open(path, exe, sysroot, &l.core, e);
	if (!rc)
		rc = core_make_target(l.core, &l.target, e);
	if (!rc)
		rc = core_open_modules(l.core, &l.modules, e);
	if (!rc)
		rc = libc_identify(l.modules, &l.libc, e);
	if (!rc)
		rc = capture_from_core(l.core, l.target, l.modules, l.libc, &l.capture, e);
	if (!rc && (model_create(&l.model) || look_note_core(&l)))
		rc = err_set(e, ERR_NOMEM, "cannot look at '%.200s'", path);
	if (!rc)
		rc = look_finish(&l, &o, &limits, out, e);
	look_free(&l);
	return rc;
}
