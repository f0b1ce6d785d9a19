/* SPDX-License-Identifier: MIT
 *
 * Reading /proc. Files there have no size in advance and may change between two reads; each is
 * read in as few calls as possible.
 */
#include "target/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Flag in field 9 of stat: include/linux/sched.h, Linux 2.6.17 to 6.18. */
#define PF_FORKNOEXEC 0x00000040

/* Make room for at least 2 KiB more behind `n`. */
static char *procfs_grow(char *buf, size_t n, size_t *room)
{
	char *bigger;

	if (buf && *room - n >= 2048)
		return buf;
	bigger = realloc(buf, *room * 2);
	if (!bigger) {
		free(buf);
		errno = ENOMEM;
		return NULL;
	}
	*room *= 2;
	return bigger;
}

char *procfs_read(const char *path, size_t *bytes)
{
	size_t room = 4096, n = 0;
	char *buf = NULL;
	ssize_t got;
	int saved, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	while ((buf = procfs_grow(buf, n, &room))) {
		got = read(fd, buf + n, room - n - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	saved = errno;
	close(fd);
	errno = saved;
	if (!buf)
		return NULL;
	if (got < 0) {
		free(buf);
		errno = saved;
		return NULL;
	}
	buf[n] = '\0';
	if (bytes)
		*bytes = n;
	return buf;
}

ssize_t procfs_read_into(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0, got;

	if (fd < 0)
		return -1;
	do {
		got = read(fd, buf + n, size - 1 - (size_t)n);
		if (got > 0)
			n += got;
	} while (got > 0 && (size_t)n < size - 1);
	if (got < 0 && !n)
		n = -1;
	else
		buf[n] = '\0';
	close(fd);
	return n;
}

const char *procfs_find_field(const char *status, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = status; line && *line;) {
		if (!strncmp(line, key, len) && line[len] == ':') {
			line += len + 1;
			return line + strspn(line, " \t");
		}
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return NULL;
}

const char *procfs_find_stat_field(const char *stat, int n)
{
	const char *p = strrchr(stat, ')');

	for (int field = 2; p && field < n; field++) {
		p = strchr(p, ' ');
		p += p != NULL;
	}
	return p;
}

bool procfs_is_copy(const char *stat)
{
	const char *flags = procfs_find_stat_field(stat, 9);

	return !flags || strtoul(flags, NULL, 10) & PF_FORKNOEXEC;
}

char *procfs_read_link(const char *path)
{
	char buf[PATH_MAX + 1];
	ssize_t n = readlink(path, buf, sizeof(buf) - 1);

	if (n < 0)
		return NULL;
	buf[n] = '\0';
	return strdup(buf);
}
