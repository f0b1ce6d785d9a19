/* SPDX-License-Identifier: MIT
 *
 * The directory of tables. Names of files are all that is trusted here, and of a table its PID
 * namespace, which can only make strand keep a file that it might have removed.
 *
 * A control file is in use as long as its supervisor holds a lock on it: PIDs alone would not tell
 * where containers share a directory.
 */
#include "target/tables.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/procfs.h"
#include "wire.h"

static int tables_put_path(char *path, size_t size, struct err *e, const char *a, const char *b)
{
	int n = snprintf(path, size, "%s%s", a, b);

	if (n < 0 || (size_t)n >= size)
		return err_set_errno(e, ENAMETOOLONG, "the directory of tables");
	return 0;
}

static bool tables_is_directory(const char *path)
{
	struct stat st;

	return path && path[0] == '/' && !stat(path, &st) && S_ISDIR(st.st_mode);
}

int tables_directory(char *path, size_t size, struct err *e)
{
	const char *own = getenv(WIRE_ENV_DIR), *runtime = getenv("XDG_RUNTIME_DIR");
	char name[32];

	if (own && *own)
		return tables_put_path(path, size, e, own, "");
	if (tables_is_directory(runtime))
		return tables_put_path(path, size, e, runtime, "/strand");
	snprintf(name, sizeof(name), "%u", (unsigned)geteuid());
	return tables_put_path(path, size, e, "/dev/shm/strand-", name);
}

static int tables_fail(struct err *e, int sys_errno, const char *path)
{
	err_set_errno(e, sys_errno, "cannot use the directory of tables '%.300s'", path);
	if (e)
		e->code = ERR_DIRECTORY;
	return ERR_DIRECTORY;
}

/* Anybody may make a directory in /dev/shm: one that is not ours is not used, and no link to one
 * is followed. */
static int tables_check_directory(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st))
		return tables_fail(e, errno, path);
	if (S_ISLNK(st.st_mode) && st.st_uid != geteuid())
		return tables_fail(e, ELOOP, path);
	if (stat(path, &st))
		return tables_fail(e, errno, path);
	if (!S_ISDIR(st.st_mode))
		return tables_fail(e, ENOTDIR, path);
	if (st.st_uid != geteuid())
		return tables_fail(e, EPERM, path);
	if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS))
		return tables_fail(e, errno, path);
	return 0;
}

int tables_make_directory(char *path, size_t size, struct err *e)
{
	char *whole;
	int rc = tables_directory(path, size, e);

	if (!rc && mkdir(path, 0700) && errno != EEXIST)
		rc = tables_fail(e, errno, path);
	if (!rc)
		rc = tables_check_directory(path, e);
	if (rc)
		return rc;
	whole = realpath(path, NULL); /* the program may change its own directory */
	if (!whole)
		return tables_fail(e, errno, path);
	rc = tables_put_path(path, size, e, whole, "");
	free(whole);
	return rc;
}

/* -- names ------------------------------------------------------------------------------------ */

/* A decimal number in front of `end`; moves behind that. */
static bool tables_take_number(const char **p, char end, uint64_t max, uint64_t *out)
{
	char *rest;

	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	*out = strtoull(*p, &rest, 10);
	if (errno || *out > max || *rest != end)
		return false;
	*p = rest + 1;
	return true;
}

static bool tables_parse_name(const char *name, struct tables_entry *out)
{
	const char *p = name;
	uint64_t pid, ticks, image = 0;

	if (strlen(name) >= sizeof(out->name))
		return false;
	if (!tables_take_number(&p, '.', INT_MAX, &pid) || !pid ||
	    !tables_take_number(&p, '.', UINT64_MAX, &ticks))
		return false;
	*out = (struct tables_entry){ .pid = (pid_t)pid, .start_ticks = ticks };
	out->control = !strcmp(p, WIRE_CONTROL_SUFFIX + 1);
	if (!out->control && (!tables_take_number(&p, '.', UINT_MAX, &image) ||
			      strcmp(p, WIRE_TABLE_SUFFIX + 1) != 0))
		return false;
	out->image = (unsigned)image;
	strcpy(out->name, name);
	return true;
}

static int tables_compare(const void *va, const void *vb)
{
	const struct tables_entry *a = va, *b = vb;

	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->start_ticks != b->start_ticks)
		return a->start_ticks < b->start_ticks ? -1 : 1;
	if (a->control != b->control)
		return a->control ? 1 : -1;
	return (a->image > b->image) - (a->image < b->image);
}

int tables_list(const char *directory, struct tables_entry **out, size_t *n, struct err *e)
{
	struct tables_entry *v = NULL, *bigger, entry;
	DIR *dir = opendir(directory);
	size_t room = 0;
	struct dirent *d;

	*out = NULL;
	*n = 0;
	if (!dir)
		return errno == ENOENT ? 0 : tables_fail(e, errno, directory);
	while ((d = readdir(dir))) {
		if (!tables_parse_name(d->d_name, &entry))
			continue;
		if (*n == room) {
			room = room ? 2 * room : 64;
			bigger = reallocarray(v, room, sizeof(*v));
			if (!bigger) {
				free(v);
				closedir(dir);
				*n = 0;
				return err_set(e, ERR_NOMEM, "the list of tables");
			}
			v = bigger;
		}
		v[(*n)++] = entry;
	}
	closedir(dir);
	if (*n)
		qsort(v, *n, sizeof(*v), tables_compare);
	*out = v;
	return 0;
}

/* -- the living and the dead ------------------------------------------------------------------ */

uint64_t tables_own_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : st.st_ino;
}

bool tables_entry_lives(const struct tables_entry *entry, uint64_t pid_namespace)
{
	const char *start;
	char path[64], stat[1024];

	if (pid_namespace && pid_namespace != tables_own_namespace())
		return true;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)entry->pid);
	if (procfs_read_into(path, stat, sizeof(stat)) <= 0)
		return access("/proc/self/stat", R_OK) != 0; /* no /proc: who knows */
	start = procfs_find_stat_field(stat, 22);
	return !start || strtoull(start, NULL, 10) == entry->start_ticks;
}

/* A zombie's table may be wanted by a supervisor that has not read it yet. */
static bool tables_entry_is_zombie(const struct tables_entry *entry)
{
	char path[64], stat[1024];
	const char *state, *threads;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)entry->pid);
	if (procfs_read_into(path, stat, sizeof(stat)) <= 0)
		return false;
	state = procfs_find_stat_field(stat, 3);
	threads = procfs_find_stat_field(stat, 20);
	return state && threads && *state == 'Z' && atoi(threads) <= 1;
}

/* 0 for what is no table. */
static uint64_t tables_read_namespace(int fd)
{
	struct wire_table t;

	if (pread(fd, &t, offsetof(struct wire_table, exe), 0) !=
		    (ssize_t)offsetof(struct wire_table, exe) ||
	    memcmp(t.magic, WIRE_TABLE_MAGIC, sizeof(t.magic)) != 0)
		return 0;
	return t.pid_namespace;
}

static bool tables_is_locked(int directory, const struct tables_entry *control)
{
	int fd = openat(directory, control->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;

	if (fd >= 0)
		close(fd);
	return locked;
}

static bool tables_is_stale(int directory, const struct tables_entry *entry, bool supervised)
{
	uint64_t pid_namespace = 0;
	int fd;

	if (entry->control)
		return !tables_is_locked(directory, entry) && !tables_entry_lives(entry, 0);
	fd = openat(directory, entry->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0) {
		pid_namespace = tables_read_namespace(fd);
		close(fd);
	}
	if (!tables_entry_lives(entry, pid_namespace))
		return true;
	return !supervised && (!pid_namespace || pid_namespace == tables_own_namespace()) &&
	       tables_entry_is_zombie(entry);
}

void tables_remove_stale(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tables_entry *v = NULL;
	bool supervised = false;
	struct stat st;
	size_t n = 0;

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && st.st_uid == geteuid())
		tables_list(directory, &v, &n, NULL);
	for (size_t i = 0; i < n; i++)
		supervised = supervised || (v[i].control && tables_is_locked(fd, &v[i]));
	for (size_t i = 0; i < n; i++)
		if (tables_is_stale(fd, &v[i], supervised))
			unlinkat(fd, v[i].name, 0);
	free(v);
	close(fd);
}

/* -- the table of a process ------------------------------------------------------------------- */

/* The newest table of `pid`, a number of the process's own namespace, in `directory`. */
static void tables_find_in(const char *directory, pid_t pid, uint64_t start_ticks, char *path,
			   size_t size)
{
	struct tables_entry *v;
	size_t n;

	if (*path || tables_list(directory, &v, &n, NULL))
		return;
	for (size_t i = n; i-- > 0;) {
		if (v[i].control || v[i].pid != pid || v[i].start_ticks != start_ticks)
			continue;
		if (tables_put_path(path, size, NULL, directory, "/")) {
			*path = '\0';
			break;
		}
		if (strlen(path) + strlen(v[i].name) >= size)
			*path = '\0';
		else
			strcat(path, v[i].name);
		break;
	}
	free(v);
}

/* The value of a variable in a process's environment, NULL if it has none. */
static const char *tables_find_variable(const char *environment, size_t bytes, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; environment && i < bytes; i += strlen(environment + i) + 1)
		if (!strncmp(environment + i, name, length) && environment[i + length] == '=')
			return environment + i + length + 1;
	return NULL;
}

/* Where the process itself would put it, seen through its root. */
static void tables_find_at_home(pid_t pid, pid_t pid_ns, uint64_t start_ticks, char *path,
				size_t size)
{
	char name[64], directory[PATH_MAX], *environment, *status;
	const char *uid, *value;
	size_t bytes = 0;

	snprintf(name, sizeof(name), "/proc/%d/environ", (int)pid);
	environment = procfs_read(name, &bytes);
	value = tables_find_variable(environment, bytes, WIRE_ENV_DIR);
	snprintf(name, sizeof(name), "/proc/%d/root", (int)pid);
	if (value && *value == '/' &&
	    !tables_put_path(directory, sizeof(directory), NULL, name, value))
		tables_find_in(directory, pid_ns, start_ticks, path, size);
	value = tables_find_variable(environment, bytes, "XDG_RUNTIME_DIR");
	if (value && *value == '/' &&
	    snprintf(directory, sizeof(directory), "%s%s/strand", name, value) <
		    (int)sizeof(directory))
		tables_find_in(directory, pid_ns, start_ticks, path, size);
	free(environment);
	snprintf(name, sizeof(name), "/proc/%d/status", (int)pid);
	status = procfs_read(name, NULL);
	uid = status ? procfs_find_field(status, "Uid") : NULL;
	if (uid) {
		snprintf(directory, sizeof(directory), "/proc/%d/root/dev/shm/strand-%lu", (int)pid,
			 strtoul(uid, NULL, 10));
		tables_find_in(directory, pid_ns, start_ticks, path, size);
	}
	free(status);
}

/* The process's number in its own namespace. */
static pid_t tables_read_pid_ns(pid_t pid)
{
	char path[64], status[4096];
	const char *p;
	pid_t last = pid;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (procfs_read_into(path, status, sizeof(status)) <= 0)
		return pid;
	for (p = procfs_find_field(status, "NSpid"); p && *p && *p != '\n'; p += strspn(p, " \t")) {
		last = (pid_t)atoi(p);
		p += strcspn(p, " \t\n");
	}
	return last;
}

int tables_find(pid_t pid, uint64_t start_ticks, char *path, size_t size, struct err *e)
{
	char directory[PATH_MAX];
	pid_t pid_ns = tables_read_pid_ns(pid);
	int rc;

	*path = '\0';
	rc = tables_directory(directory, sizeof(directory), e);
	if (rc)
		return rc;
	tables_find_in(directory, pid_ns, start_ticks, path, size);
	if (!*path)
		tables_find_at_home(pid, pid_ns, start_ticks, path, size);
	return 0;
}
