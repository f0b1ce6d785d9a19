/* SPDX-License-Identifier: MIT
 *
 * Who a process is and whether it may be looked at. Everything here is read from /proc without
 * stopping anybody; the answers are for people ("it belongs to another user"), the kernel alone
 * decides.
 */
#include "target/target.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/procfs.h"

/* Flags in field 9 of stat: include/linux/sched.h, Linux 2.6.17 to 6.18. */
#define PF_KTHREAD   0x00200000
#define PF_IO_WORKER 0x00000010 /* 5.12 and later */

#define ANCESTORS_MAX 64

static char *target_read_file(pid_t pid, const char *name, size_t *bytes)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return procfs_read(path, bytes);
}

/* Is /proc there, and does it speak of the same PIDs that we use? In a PID namespace that kept
 * its parent's /proc it does not, and a number would mean another process. */
static bool target_proc_is_ours(void)
{
	char *self = procfs_read_link("/proc/self");
	bool ours = self && atoi(self) == (int)getpid();

	free(self);
	return ours;
}

static long target_field(const char *status, const char *key)
{
	const char *value = procfs_find_field(status, key);

	return value ? atol(value) : -1;
}

/* A main thread that ended before the others is a zombie in a process that lives. */
static bool target_has_living_thread(const char *status)
{
	return target_field(status, "Threads") > 1;
}

static int target_check(pid_t pid, const char *status, const char *stat, struct err *e)
{
	const char *state = procfs_find_field(status, "State");
	const char *flags = procfs_find_stat_field(stat, 9);
	long tracer = target_field(status, "TracerPid");

	if (target_field(status, "Tgid") != pid)
		return err_set(e, ERR_THREAD_ID, "cannot look at process %d", (int)pid);
	if (pid == getpid())
		return err_set(e, ERR_SELF, "cannot look at process %d", (int)pid);
	if (flags && strtoul(flags, NULL, 10) & PF_KTHREAD)
		return err_set(e, ERR_KERNEL_THREAD, "cannot look at process %d", (int)pid);
	if (state && (*state == 'X' || (*state == 'Z' && !target_has_living_thread(status))))
		return err_set(e, ERR_ZOMBIE, "cannot look at process %d", (int)pid);
	if (tracer > 0)
		return err_set(e, ERR_TRACED, "cannot look at process %d (traced by process %ld)",
			       (int)pid, tracer);
	return 0;
}

static int target_read_argv(struct target *t)
{
	size_t bytes = 0, n = 0;
	char *text = target_read_file(t->through, "cmdline", &bytes);

	for (size_t i = 0; i < bytes; i++)
		n += text[i] == '\0';
	if (bytes && text[bytes - 1] != '\0')
		n++;
	t->argv = calloc(n + 1, sizeof(*t->argv));
	if (!t->argv) {
		free(text);
		return ERR_NOMEM;
	}
	n = 0;
	for (size_t i = 0; i < bytes; i += strlen(text + i) + 1) {
		t->argv[n] = strdup(text + i);
		if (!t->argv[n++])
			break;
	}
	free(text);
	return 0;
}

/* How many PID namespaces lie between ours and the process's own: NSpid lists one id for each,
 * from that of /proc inwards. */
static int target_namespace_depth(const char *status)
{
	const char *p = procfs_find_field(status, "NSpid");
	int n = 0;

	while (p && *p && *p != '\n') {
		n++;
		p += strcspn(p, " \t\n");
		p += strspn(p, " \t");
	}
	return n > 1 ? n - 1 : 0;
}

/* A thread whose memory and files /proc still shows. */
static pid_t target_find_through(pid_t pid)
{
	struct target_thread info;
	pid_t found = pid;
	struct dirent *d;
	char path[64];
	DIR *dir;

	if (!target_read_thread(pid, pid, &info) && info.state != 'Z')
		return pid;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && found == pid && (d = readdir(dir))) {
		pid_t tid = (pid_t)atoi(d->d_name);

		if (tid > 0 && !target_read_thread(pid, tid, &info) && info.state != 'Z' &&
		    info.state != 'X')
			found = tid;
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Was the memory handed down, by fork without exec, from another PID namespace? Asks the parent,
 * then its parent, as long as they are such copies too (`left` generations at most); one that has
 * ended cannot be asked any more. */
static bool target_is_renumbered(const char *status, const char *stat, int left)
{
	pid_t parent = (pid_t)target_field(status, "PPid");
	char *parent_status, *parent_stat;
	bool renumbered;

	if (!procfs_is_copy(stat))
		return false;
	parent_status = target_read_file(parent, "status", NULL);
	parent_stat = target_read_file(parent, "stat", NULL);
	if (parent <= 0 || !parent_status || !parent_stat || !left)
		renumbered = true; /* its parent is outside: it came from there */
	else
		renumbered =
			target_namespace_depth(parent_status) != target_namespace_depth(status) ||
			target_is_renumbered(parent_status, parent_stat, left - 1);
	free(parent_status);
	free(parent_stat);
	return renumbered;
}

static int target_fill(struct target *t, const char *status, const char *stat)
{
	const char *start = procfs_find_stat_field(stat, 22);
	char path[64];

	t->ppid = (pid_t)target_field(status, "PPid");
	t->start_ticks = start ? strtoull(start, NULL, 10) : 0;
	t->forked = procfs_is_copy(stat);
	t->renumbered = target_is_renumbered(status, stat, ANCESTORS_MAX);
	t->pid_namespace_depth = target_namespace_depth(status);
	t->through = target_find_through(t->pid);
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)t->through);
	t->exe = procfs_read_link(path);
	return target_read_argv(t);
}

int target_open(pid_t pid, struct target **out, struct err *e)
{
	struct target *t = calloc(1, sizeof(*t));
	char *status = NULL, *stat = NULL;
	int rc;

	*out = NULL;
	if (!t)
		return err_set(e, ERR_NOMEM, "cannot look at process %d", (int)pid);
	t->pid = pid;
	if (!target_proc_is_ours()) {
		rc = err_set(e, ERR_NO_PROC, "cannot look at process %d", (int)pid);
		goto out;
	}
	status = target_read_file(pid, "status", NULL);
	stat = target_read_file(pid, "stat", NULL);
	if (!status || !stat) {
		rc = err_set(e, ERR_GONE, "cannot look at process %d", (int)pid);
		goto out;
	}
	rc = target_check(pid, status, stat, e);
	if (!rc && target_fill(t, status, stat))
		rc = err_set(e, ERR_NOMEM, "cannot look at process %d", (int)pid);
out:
	free(status);
	free(stat);
	if (rc)
		target_close(t);
	else
		*out = t;
	return rc;
}

void target_close(struct target *t)
{
	if (!t)
		return;
	for (char **a = t->argv; a && *a; a++)
		free(*a);
	free(t->argv);
	free(t->exe);
	free(t);
}

static bool target_yama_forbids(void)
{
	char buf[16];

	return procfs_read_into("/proc/sys/kernel/yama/ptrace_scope", buf, sizeof(buf)) > 0 &&
	       atoi(buf) > 0;
}

int target_explain_refusal(pid_t pid, int sys_errno, struct err *e)
{
	char *status = target_read_file(pid, "status", NULL);
	long uid = status ? target_field(status, "Uid") : -1;
	long tracer = status ? target_field(status, "TracerPid") : 0;
	char path[64];
	struct stat st;
	int code = ERR_NO_PTRACE;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (!status || sys_errno == ESRCH)
		code = ERR_GONE;
	else if (tracer > 0)
		code = ERR_TRACED;
	else if (uid != (long)getuid() && getuid() != 0)
		code = ERR_OTHER_USER;
	else if (target_yama_forbids())
		code = ERR_YAMA;
	else if (getuid() != 0 && !stat(path, &st) && st.st_uid != getuid())
		code = ERR_NOT_DUMPABLE;
	free(status);
	return err_set(e, code, "cannot look at process %d", (int)pid);
}

bool target_is_there(const struct target *t)
{
	struct target_thread info;

	return !target_read_thread(t->pid, t->pid, &info) && info.start_ticks == t->start_ticks;
}

uint64_t target_read_caught_signals(const struct target *t)
{
	char *status = target_read_file(t->pid, "status", NULL);
	const char *caught = status ? procfs_find_field(status, "SigCgt") : NULL;
	uint64_t signals = caught ? strtoull(caught, NULL, 16) : UINT64_MAX;

	free(status);
	return signals;
}

bool target_has_uring(pid_t through)
{
	char path[64 + NAME_MAX];
	bool found = false;
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)through);
	dir = opendir(path);
	while (dir && !found && (d = readdir(dir))) {
		char *link;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)through, d->d_name);
		link = procfs_read_link(path);
		found = link && !strcmp(link, "anon_inode:[io_uring]");
		free(link);
	}
	if (dir)
		closedir(dir);
	return found;
}

int target_read_thread(pid_t pid, pid_t tid, struct target_thread *out)
{
	char path[64], buf[1024];
	const char *open, *close, *state, *start, *flags;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	if (procfs_read_into(path, buf, sizeof(buf)) <= 0)
		return ERR_ENDED;
	open = strchr(buf, '(');
	close = strrchr(buf, ')');
	state = procfs_find_stat_field(buf, 3);
	start = procfs_find_stat_field(buf, 22);
	flags = procfs_find_stat_field(buf, 9);
	if (!open || !close || close < open || !state || !start)
		return ERR_BAD_FORMAT;
	len = (size_t)(close - open - 1);
	if (len >= sizeof(out->name))
		len = sizeof(out->name) - 1;
	memcpy(out->name, open + 1, len);
	out->name[len] = '\0';
	out->state = *state;
	out->start_ticks = strtoull(start, NULL, 10);
	out->kernel_worker = flags && strtoul(flags, NULL, 10) & PF_IO_WORKER;
	return 0;
}

pid_t target_read_tid_ns(pid_t pid, pid_t tid)
{
	char path[64], buf[4096];
	const char *p;
	pid_t last = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	if (procfs_read_into(path, buf, sizeof(buf)) <= 0)
		return 0;
	for (p = procfs_find_field(buf, "NSpid"); p && *p && *p != '\n'; p += strspn(p, " \t")) {
		last = (pid_t)atoi(p);
		p += strcspn(p, " \t\n");
	}
	return last;
}
