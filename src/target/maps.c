/* SPDX-License-Identifier: MIT
 *
 * Parser of /proc/PID/maps. A process of 10 000 threads has 20 000 lines and more, so the text
 * is read in big pieces, parsed by hand in one pass, and the paths are left where they are in it.
 *
 * The kernel writes lines in ascending order without overlaps, also while the map changes; a text
 * that breaks this is refused, since lookups rely on it. A newline in a path comes as "\012" and
 * is left so.
 */
#include "target/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAPS_FIRST_BYTES ((size_t)64 << 10)

/* Read all of `fd` into a terminated buffer that grows; NULL with errno set on failure. */
static char *maps_read_text(int fd)
{
	size_t size = MAPS_FIRST_BYTES;
	size_t used = 0;
	char *text = malloc(size);

	while (text) {
		ssize_t got = read(fd, text + used, size - used - 1);
		char *bigger;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			goto fail;
		if (got == 0)
			break;
		used += (size_t)got;
		if (size - used > size / 4)
			continue;
		size *= 2;
		bigger = realloc(text, size);
		if (!bigger)
			goto fail;
		text = bigger;
	}
	if (text)
		text[used] = '\0';
	return text;
fail:
	free(text);
	return NULL;
}

int maps_read(pid_t pid, struct maps *out, struct err *e)
{
	char path[64];
	char *text;
	int error;
	int fd;

	memset(out, 0, sizeof(*out));
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? err_set(e, ERR_GONE, "cannot look at process %d", (int)pid)
				       : err_set_errno(e, errno, "cannot open %s", path);
	text = maps_read_text(fd);
	error = errno;
	close(fd);
	if (text)
		return maps_parse(text, out, e);
	if (error == ENOMEM)
		return err_set(e, ERR_NOMEM, "cannot read %s", path);
	if (error == ESRCH)
		return err_set(e, ERR_GONE, "cannot look at process %d", (int)pid);
	return err_set_errno(e, error, "cannot read %s", path);
}

static int maps_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 16;
}

/* A number at *p that fits `max`, followed by `end`, which is stepped over. */
static bool maps_take_number(char **p, int base, uint64_t max, char end, uint64_t *out)
{
	uint64_t value = 0;
	char *s = *p;

	for (; maps_digit(*s) < base; s++) {
		uint64_t digit = (uint64_t)maps_digit(*s);

		if (value > (max - digit) / (uint64_t)base)
			return false;
		value = value * (uint64_t)base + digit;
	}
	if (s == *p || *s != end)
		return false;
	*p = s + 1;
	*out = value;
	return true;
}

/* The letter or a dash, as in "rw-p". */
static bool maps_take_flag(char **p, char set, char clear, bool *out)
{
	char c = **p;

	if (c != set && c != clear)
		return false;
	*out = c == set;
	(*p)++;
	return true;
}

static bool maps_take_flags(char **p, struct mapping *m)
{
	if (!maps_take_flag(p, 'r', '-', &m->read) || !maps_take_flag(p, 'w', '-', &m->write) ||
	    !maps_take_flag(p, 'x', '-', &m->exec) || !maps_take_flag(p, 's', 'p', &m->shared) ||
	    **p != ' ')
		return false;
	(*p)++;
	return true;
}

/* The inode and what follows it: nothing, or blanks and a path up to the end of the line. */
static bool maps_take_inode_and_path(char **p, struct mapping *m)
{
	char *end = strchrnul(*p, '\n');
	bool last = *end == '\0';

	*end = '\0';
	if (!maps_take_number(p, 10, UINT64_MAX, ' ', &m->inode) &&
	    !maps_take_number(p, 10, UINT64_MAX, '\0', &m->inode))
		return false;
	if (*p > end) /* the number stood at the end of the line */
		*p = end;
	while (**p == ' ')
		(*p)++;
	m->path = *p;
	*p = last ? end : end + 1;
	return true;
}

/* "7f00-7f10 r-xp 00000000 fe:01 1234     /usr/bin/x" */
static bool maps_take_line(char **p, struct mapping *m)
{
	uint64_t major, minor;

	if (!maps_take_number(p, 16, UINT64_MAX, '-', &m->start) ||
	    !maps_take_number(p, 16, UINT64_MAX, ' ', &m->end) || !maps_take_flags(p, m) ||
	    !maps_take_number(p, 16, UINT64_MAX, ' ', &m->offset) ||
	    !maps_take_number(p, 16, UINT32_MAX, ':', &major) ||
	    !maps_take_number(p, 16, UINT32_MAX, ' ', &minor) || !maps_take_inode_and_path(p, m))
		return false;
	m->dev_major = (uint32_t)major;
	m->dev_minor = (uint32_t)minor;
	return m->start < m->end;
}

static size_t maps_count_lines(const char *text)
{
	size_t n = 0;
	const char *p;

	for (p = text; *p; n++) {
		p = strchrnul(p, '\n');
		p += *p == '\n';
	}
	return n;
}

int maps_parse(char *text, struct maps *out, struct err *e)
{
	size_t lines = maps_count_lines(text);
	uint64_t floor = 0;
	char *p = text;

	memset(out, 0, sizeof(*out));
	out->text = text;
	out->v = calloc(lines ? lines : 1, sizeof(*out->v));
	if (!out->v)
		return err_set(e, ERR_NOMEM, "cannot read a memory map");
	for (; out->n < lines; out->n++) {
		struct mapping *m = &out->v[out->n];

		if (!maps_take_line(&p, m) || m->start < floor)
			return err_set(e, ERR_BAD_FORMAT, "cannot read line %zu of a memory map",
				       out->n + 1);
		floor = m->end;
	}
	return 0;
}

const struct mapping *maps_find(const struct maps *m, uint64_t address)
{
	size_t low = 0;
	size_t high = m->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->v[mid].end <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->n && m->v[low].start <= address ? &m->v[low] : NULL;
}

void maps_free(struct maps *m)
{
	free(m->v);
	free(m->text);
	memset(m, 0, sizeof(*m));
}
