/* SPDX-License-Identifier: MIT
 *
 * The file of a table. Whoever may write to it may also truncate it, and an access to a mapping
 * behind the end of its file is a SIGBUS: so only who has to write maps anything, the header alone,
 * and looks at the file's size before each use; all else is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "readers/table_private.h"

struct table {
	int fd;
	char *path;
	struct wire_table *live; /* mapped; NULL: only read */
	struct wire_table seen;	 /* what was read last */
};

static bool table_read_header(int fd, struct wire_table *out)
{
	return pread(fd, out, sizeof(*out), 0) == (ssize_t)sizeof(*out);
}

int table_check_header(const struct wire_table *h, const char *path, struct err *e)
{
	if (memcmp(h->magic, WIRE_TABLE_MAGIC, sizeof(h->magic)))
		return err_set(e, ERR_BAD_FORMAT, "'%.300s' is no table of strand", path);
	if (h->version != WIRE_VERSION)
		return err_set(e, ERR_BAD_FORMAT,
			       "'%.300s' is a table of version %u, this strand reads %u", path,
			       h->version, WIRE_VERSION);
	if (h->header_bytes != sizeof(*h) || h->task_bytes != sizeof(struct wire_task) ||
	    h->segment_count > WIRE_SEGMENTS || h->pid <= 0)
		return err_set(e, ERR_BAD_FORMAT, "the table '%.300s' is damaged", path);
	return 0;
}

static int table_load(struct table *t, bool write, struct err *e)
{
	struct stat st;

	if (fstat(t->fd, &st) || !S_ISREG(st.st_mode))
		return err_set(e, ERR_BAD_FORMAT, "'%.300s' is no table of strand", t->path);
	if (!table_read_header(t->fd, &t->seen)) {
		bool table = st.st_size >= (off_t)sizeof(t->seen.magic) &&
			     !memcmp(t->seen.magic, WIRE_TABLE_MAGIC, sizeof(t->seen.magic));

		return err_set(e, ERR_BAD_FORMAT,
			       table ? "the table '%.300s' is cut short"
				     : "'%.300s' is no table of strand",
			       t->path);
	}
	if (table_check_header(&t->seen, t->path, e))
		return ERR_BAD_FORMAT;
	if (!write)
		return 0;
	t->live = mmap(NULL, sizeof(*t->live), PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (t->live != MAP_FAILED)
		return 0;
	t->live = NULL;
	return err_set_errno(e, errno, "cannot map the table '%.300s'", t->path);
}

int table_open(const char *path, bool write, struct table **out, struct err *e)
{
	struct table *t = calloc(1, sizeof(*t));
	int rc;

	*out = NULL;
	if (t)
		t->path = strdup(path);
	if (!t || !t->path) {
		free(t);
		return err_set(e, ERR_NOMEM, "cannot read the table '%.300s'", path);
	}
	/* Neither a pipe nor a link of somebody else's in its place does harm. */
	t->fd = open(path,
		     (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	if (t->fd < 0)
		rc = err_set_errno(e, errno, "cannot read the table '%.300s'", path);
	else
		rc = table_load(t, write, e);
	if (rc) {
		table_close(t);
		return rc;
	}
	*out = t;
	return 0;
}

void table_close(struct table *t)
{
	if (!t)
		return;
	if (t->live)
		munmap(t->live, sizeof(*t->live));
	if (t->fd >= 0)
		close(t->fd);
	free(t->path);
	free(t);
}

volatile struct wire_table *table_header(struct table *t)
{
	struct wire_table now;
	struct stat st;

	if (t->live && !fstat(t->fd, &st) && st.st_size >= (off_t)sizeof(*t->live))
		return t->live;
	if (table_read_header(t->fd, &now))
		t->seen = now;
	return &t->seen;
}

const char *table_path(const struct table *t)
{
	return t->path;
}

int table_fd(const struct table *t)
{
	return t->fd;
}
