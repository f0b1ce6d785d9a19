/* SPDX-License-Identifier: MIT
 *
 * Files that are mere memory (memfd_create(2), memfd_secret(2), /dev/shm): whoever has the descriptor can
 * map them again, mapped or not, so what is in them counts as held by the kernel.
 *
 * Each is opened anew, for a duplicate would share the process's offset. Holes are stepped over:
 * reading them would not fill them, but takes its time.
 */
#include "readers/held_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* [start, end) of the file; false if it cannot be had whole. */
static bool held_copy_extent(struct held_work *w, int fd, int number, off_t start, off_t end,
			     int *rc)
{
	size_t bytes = (size_t)(end - start), got = 0;
	uint8_t *to = held_make_room(w, bytes);

	while (to && got < bytes) {
		ssize_t n = pread(fd, to + got, bytes - got, start + (off_t)got);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	*rc = held_add_filled(w, got, "content of memory file %d", number);
	return to && got == bytes;
}

/* False if there is something that cannot be read. */
static bool held_copy_file(struct held_work *w, int fd, int number, int *rc)
{
	off_t start = 0, end;

	while (!*rc && !held_is_over(w)) {
		start = lseek(fd, start, SEEK_DATA);
		if (start < 0)
			return errno == ENXIO;
		end = lseek(fd, start, SEEK_HOLE);
		if (end <= start || !held_copy_extent(w, fd, number, start, end, rc))
			return false;
		start = end;
	}
	return true;
}

static int held_read_file(struct held_work *w, const struct held_table *t, int number)
{
	char path[64];
	bool whole;
	int fd, rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)t->tid, number);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOATIME);
	if (fd < 0 && errno == EPERM) /* another user's */
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	whole = fd >= 0 && held_copy_file(w, fd, number, &rc);
	if (!whole)
		held_set_unread(w, "content of memory file %d", number);
	if (fd >= 0)
		close(fd);
	return rc;
}

int held_read_files(struct held_work *w, const struct held_table *t)
{
	const struct held_descriptor *last = NULL;
	int rc = 0;

	for (size_t i = 0; i < t->n && !rc && !held_is_over(w); i++) {
		const struct held_descriptor *d = &t->v[i];

		if (d->kind != HELD_FILE ||
		    (last && last->inode == d->inode && last->device == d->device))
			continue;
		last = d;
		rc = held_read_file(w, t, d->number);
	}
	return rc;
}
