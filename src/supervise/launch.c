/* SPDX-License-Identifier: MIT
 *
 * fork and exec. What fails in the child before or in exec comes back through a pipe that exec
 * closes: nothing in the pipe means that the program runs. The child is no special one: it gets no
 * death signal and no process group of its own, for strand's end must not be its end, and ^C and
 * job control must reach it.
 */
#include "supervise/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire.h"

#define ASAN_LENIENT "verify_asan_link_order=0"

/* The variables that are ours; each replaces one of that name. */
enum { SETTING_PRELOAD, SETTING_CONTROL, SETTING_DIR, SETTING_ASAN, SETTING_COUNT };

static const char *const setting_names[SETTING_COUNT] = {
	[SETTING_PRELOAD] = "LD_PRELOAD",
	[SETTING_CONTROL] = WIRE_ENV_CONTROL,
	[SETTING_DIR] = WIRE_ENV_DIR,
	[SETTING_ASAN] = "ASAN_OPTIONS",
};

static bool launch_is_setting(const char *variable, char *const *settings)
{
	for (int i = 0; i < SETTING_COUNT; i++) {
		size_t length = strlen(setting_names[i]);

		if (settings[i] && !strncmp(variable, setting_names[i], length) &&
		    variable[length] == '=')
			return true;
	}
	return false;
}

/* NAME=value, or NAME=value<separator>more. */
static int launch_set(char **setting, const char *name, const char *value, char separator,
		      const char *more)
{
	int n;

	if (more && *more)
		n = asprintf(setting, "%s=%s%c%s", name, value, separator, more);
	else
		n = asprintf(setting, "%s=%s", name, value);
	if (n < 0)
		*setting = NULL;
	return n < 0 ? ERR_NOMEM : 0;
}

static int launch_make_settings(const struct launch *l, char **settings)
{
	const char *asan = getenv("ASAN_OPTIONS");
	int rc = 0;

	if (l->shim)
		rc = launch_set(&settings[SETTING_PRELOAD], "LD_PRELOAD", l->shim, ':',
				getenv("LD_PRELOAD"));
	if (!rc)
		rc = launch_set(&settings[SETTING_CONTROL], WIRE_ENV_CONTROL, l->control, 0, NULL);
	if (!rc)
		rc = launch_set(&settings[SETTING_DIR], WIRE_ENV_DIR, l->directory, 0, NULL);
	/* A program built with gcc's address sanitizer refuses to run behind any preloaded
	 * library; with this it does not look. What comes later in the list wins. */
	if (!rc && l->shim && asan && *asan)
		rc = launch_set(&settings[SETTING_ASAN], "ASAN_OPTIONS", asan, ':', ASAN_LENIENT);
	else if (!rc && l->shim)
		rc = launch_set(&settings[SETTING_ASAN], "ASAN_OPTIONS", ASAN_LENIENT, 0, NULL);
	return rc;
}

/* Only the array is new. */
static char **launch_make_environment(char *const *settings)
{
	char **v;
	size_t n = 0, kept = 0;

	while (environ[n])
		n++;
	v = calloc(n + SETTING_COUNT + 1, sizeof(*v));
	for (size_t i = 0; v && i < n; i++)
		if (!launch_is_setting(environ[i], settings))
			v[kept++] = environ[i];
	for (int i = 0; v && i < SETTING_COUNT; i++)
		if (settings[i])
			v[kept++] = settings[i];
	return v;
}

/* In the child. */
static void launch_exec(const struct launch *l, char **environment, int report)
{
	int why;

	signal(SIGCHLD, l->o->child_signal_ignored ? SIG_IGN : SIG_DFL);
	if (l->o->files)
		setrlimit(RLIMIT_NOFILE, l->o->files);
	sigprocmask(SIG_SETMASK, l->sigmask, NULL);
	execve(l->path, l->o->argv, environment);
	why = errno;
	while (write(report, &why, sizeof(why)) < 0 && errno == EINTR)
		;
	_exit(127);
}

static int launch_refuse(const struct launch *l, int why, struct err *e)
{
	if (why == ENOENT)
		return err_set(e, ERR_NO_INTERPRETER, "cannot run '%.300s'", l->o->argv[0]);
	err_set_errno(e, why, "cannot run '%.300s'", l->o->argv[0]);
	if (why == ENOEXEC)
		err_set(e, ERR_NOT_EXECUTABLE,
			"cannot run '%.300s': it is neither a program nor a script that begins "
			"with #!",
			l->o->argv[0]);
	if (e)
		e->code = ERR_NOT_EXECUTABLE;
	return ERR_NOT_EXECUTABLE;
}

/* Has exec worked? */
static int launch_wait(const struct launch *l, pid_t pid, int report, struct err *e)
{
	int why = 0;
	ssize_t n;

	do
		n = read(report, &why, sizeof(why));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(why))
		return 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return launch_refuse(l, why, e);
}

int launch_start(const struct launch *l, pid_t *pid, struct err *e)
{
	char *settings[SETTING_COUNT] = { NULL }, **environment = NULL;
	int report[2] = { -1, -1 }, rc = launch_make_settings(l, settings);

	if (!rc)
		environment = launch_make_environment(settings);
	if (!environment) {
		rc = err_set(e, ERR_NOMEM, "the program's environment");
		goto out;
	}
	if (pipe2(report, O_CLOEXEC)) {
		rc = err_set_errno(e, errno, "cannot make a pipe");
		goto out;
	}
	*pid = fork();
	if (*pid == 0)
		launch_exec(l, environment, report[1]);
	close(report[1]);
	if (*pid < 0)
		rc = err_set_errno(e, errno, "cannot start a process");
	else
		rc = launch_wait(l, *pid, report[0], e);
	close(report[0]);
out:
	for (int i = 0; i < SETTING_COUNT; i++)
		free(settings[i]);
	free(environment);
	return rc;
}
