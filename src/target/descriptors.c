/* SPDX-License-Identifier: MIT
 *
 * Descriptors of a process in words, from /proc/PID/fd and fdinfo.
 *
 * Where the main thread has ended and others live on, /proc/PID is the dead one and shows no
 * descriptors; then a living thread's folder is used.
 */
#include "target/descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "target/line.h"
#include "target/procfs.h"
#include "target/sockets.h"

/* An epoll descriptor shows 60 bytes and more for each that it watches. */
#define DESCRIPTORS_MAX_INFO_BYTES ((size_t)256 << 10)

struct descriptors {
	pid_t pid;
	char base[64];
	struct sockets *sockets;   /* made when first needed */
	void *known;		   /* tsearch(3) tree of struct descriptor, by number */
	struct descriptor unknown; /* what is given when there is no memory */
	bool clocks_are_read;
	int64_t monotonic_offset_ns, boottime_offset_ns;
};

/* Of a thread that has ended nothing but its stat can be read. */
static bool descriptors_base_lives(const char *base)
{
	char path[96];
	char to[2];

	snprintf(path, sizeof(path), "%s/cwd", base);
	return readlink(path, to, sizeof(to)) >= 0;
}

/* Set d->base to a folder of /proc that shows the process's descriptors. */
static void descriptors_choose_base(struct descriptors *d, pid_t pid)
{
	struct dirent *entry;
	char path[64];
	DIR *tasks;

	snprintf(d->base, sizeof(d->base), "/proc/%d", (int)pid);
	if (descriptors_base_lives(d->base))
		return;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)pid, atoi(entry->d_name));
		if (!descriptors_base_lives(path))
			continue;
		memcpy(d->base, path, sizeof(d->base));
		break;
	}
	if (tasks)
		closedir(tasks);
}

int descriptors_create(pid_t pid, struct descriptors **out)
{
	struct descriptors *d = calloc(1, sizeof(*d));

	*out = d;
	if (!d)
		return ERR_NOMEM;
	d->pid = pid;
	descriptors_choose_base(d, pid);
	return 0;
}

bool descriptors_are_known(const struct descriptors *d)
{
	return d->pid != 0;
}

void descriptors_free(struct descriptors *d)
{
	if (!d)
		return;
	sockets_free(d->sockets);
	tdestroy(d->known, free);
	free(d);
}

static void descriptors_read_info(const struct descriptors *d, int number, char *buf, size_t size)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/fdinfo/%d", d->base, number);
	if (procfs_read_into(path, buf, size) < 0)
		buf[0] = '\0';
}

/* "tcp 127.0.0.1:80 -> 10.0.0.1:41822 established" */
static void descriptors_format_socket(const struct socket_name *name, const char *link,
				      struct descriptor *out, struct line *text)
{
	struct line remote;

	snprintf(out->family, sizeof(out->family), "%s", name->family);
	line_begin(&remote, out->remote, sizeof(out->remote));
	line_add(&remote, "%s", name->remote);
	line_add(text, "%s%s", name->family, name->family[0] ? " " : "");
	if (!name->local[0] && !name->remote[0])
		line_add(text, "%s", link);
	else
		line_add(text, "%s", name->local);
	if (name->remote[0])
		line_add(text, "%s-> %s", name->local[0] ? " " : "", name->remote);
	if (name->state)
		line_add(text, " %s", name->state);
}

static void descriptors_name_socket(struct descriptors *d, const char *path, const char *link,
				    struct descriptor *out, struct line *text)
{
	struct socket_name name = { 0 };
	char protocol[32];
	ssize_t n = getxattr(path, "system.sockprotoname", protocol, sizeof(protocol) - 1);

	protocol[n > 0 ? n : 0] = '\0';
	out->kind = DESCRIPTOR_SOCKET;
	if (d->sockets || sockets_create(d->base, &d->sockets) == 0)
		sockets_find(d->sockets, protocol, strtoull(link + strlen("socket:["), NULL, 10),
			     &name);
	descriptors_format_socket(&name, link, out, text);
}

/* "anon_inode:[eventfd]": what the kernel made for the process. */
static void descriptors_name_anonymous(struct descriptors *d, const char *link,
				       struct descriptor *out, struct line *text)
{
	const char *name = link + strlen("anon_inode:");
	char info[512];
	const char *pid;

	name += *name == '[';
	out->kind = DESCRIPTOR_OTHER;
	if (!strncmp(name, "eventpoll", 9)) {
		out->kind = DESCRIPTOR_EPOLL;
		line_add(text, "epoll");
		return;
	}
	line_add(text, "%.*s", (int)strcspn(name, "]"), name);
	if (!strcmp(out->text, "eventfd"))
		out->kind = DESCRIPTOR_EVENTFD;
	if (!strcmp(out->text, "timerfd"))
		out->kind = DESCRIPTOR_TIMERFD;
	if (strcmp(out->text, "pidfd") != 0)
		return;
	descriptors_read_info(d, out->number, info, sizeof(info));
	pid = procfs_find_field(info, "Pid");
	if (pid)
		line_add(text, " of %d", atoi(pid));
}

/* A path; does not wait for the server of a network file system. */
static void descriptors_name_file(const char *path, const char *link, struct descriptor *out,
				  struct line *text)
{
	struct statx st = { 0 };
	bool fifo = !statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &st) &&
		    S_ISFIFO(st.stx_mode);

	out->kind = fifo ? DESCRIPTOR_PIPE : DESCRIPTOR_FILE;
	line_add(text, "%s%s", fifo ? "fifo " : "", link);
}

static void descriptors_read(struct descriptors *d, struct descriptor *out)
{
	struct line text;
	char path[96];
	char *link;

	snprintf(path, sizeof(path), "%s/fd/%d", d->base, out->number);
	link = procfs_read_link(path);
	if (!link)
		return;
	line_begin(&text, out->text, sizeof(out->text));
	if (!strncmp(link, "socket:[", 8)) {
		descriptors_name_socket(d, path, link, out, &text);
	} else if (!strncmp(link, "pipe:[", 6)) {
		out->kind = DESCRIPTOR_PIPE;
		line_add(&text, "%s", link);
	} else if (!strncmp(link, "anon_inode:", 11)) {
		descriptors_name_anonymous(d, link, out, &text);
	} else {
		descriptors_name_file(path, link, out, &text);
	}
	free(link);
}

static int descriptors_compare(const void *a, const void *b)
{
	const struct descriptor *x = a;
	const struct descriptor *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

const struct descriptor *descriptors_find(struct descriptors *d, int number)
{
	struct descriptor key = { .number = number };
	struct descriptor *new;
	void *node = tfind(&key, &d->known, descriptors_compare);

	if (node)
		return *(struct descriptor **)node;
	new = calloc(1, sizeof(*new));
	if (!new)
		return &d->unknown;
	new->number = number;
	if (!tsearch(new, &d->known, descriptors_compare)) {
		free(new);
		return &d->unknown;
	}
	descriptors_read(d, new);
	return new;
}

/* Put a number in its place among the `n` lowest ones so far, if there is room below `max`. The
 * kernel lists in the order of its own addresses, which no two runs share. */
static void descriptors_keep_lowest(int *fds, size_t n, size_t max, int number)
{
	size_t i = n < max ? n : max;

	if (i == max && (!max || fds[max - 1] <= number))
		return;
	i -= i == max;
	for (; i && fds[i - 1] > number; i--)
		fds[i] = fds[i - 1];
	fds[i] = number;
}

size_t descriptors_read_watched(struct descriptors *d, int number, int *fds, size_t max, bool *cut)
{
	char *info = malloc(DESCRIPTORS_MAX_INFO_BYTES);
	const char *line = info;
	size_t n = 0;

	*cut = false;
	if (!info)
		return 0;
	descriptors_read_info(d, number, info, DESCRIPTORS_MAX_INFO_BYTES);
	*cut = strlen(info) == DESCRIPTORS_MAX_INFO_BYTES - 1;
	while ((line = procfs_find_field(line, "tfd"))) {
		descriptors_keep_lowest(fds, n, max, atoi(line));
		n++;
		line = strchrnul(line, '\n');
		line += *line == '\n';
	}
	free(info);
	return n;
}

bool descriptors_read_timer(struct descriptors *d, int number, int64_t *left_ns)
{
	long long seconds, ns;
	const char *value;
	char info[512];

	descriptors_read_info(d, number, info, sizeof(info));
	value = procfs_find_field(info, "it_value");
	if (!value || sscanf(value, "(%lld, %lld)", &seconds, &ns) != 2 || (!seconds && !ns))
		return false;
	if (seconds < 0 || seconds > INT64_MAX / 1000000000 - 1)
		seconds = INT64_MAX / 1000000000 - 1;
	*left_ns = seconds * 1000000000 + ns;
	return true;
}

static int64_t descriptors_parse_offset(const char *line)
{
	long long seconds, ns;

	if (!line || sscanf(line, "%lld %lld", &seconds, &ns) != 2 ||
	    llabs(seconds) > INT64_MAX / 2000000000)
		return 0;
	return seconds * 1000000000 + ns;
}

/* Both clocks of a line each: "monotonic   -3600   0". */
static void descriptors_read_clocks(struct descriptors *d)
{
	static const char *const words[] = { "monotonic", "boottime" };
	int64_t *const offsets[] = { &d->monotonic_offset_ns, &d->boottime_offset_ns };
	char path[96];
	char text[256];
	size_t i;

	d->clocks_are_read = true;
	snprintf(path, sizeof(path), "%s/timens_offsets", d->base);
	if (procfs_read_into(path, text, sizeof(text)) < 0)
		return;
	for (i = 0; i < 2; i++) {
		const char *at = strstr(text, words[i]);

		*offsets[i] = descriptors_parse_offset(at ? at + strlen(words[i]) : NULL);
	}
}

int64_t descriptors_read_clock_offset(struct descriptors *d, clockid_t clock)
{
	if (!d->clocks_are_read)
		descriptors_read_clocks(d);
	switch (clock) {
	case CLOCK_MONOTONIC:
		return d->monotonic_offset_ns;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		return d->boottime_offset_ns;
	default:
		return 0;
	}
}
