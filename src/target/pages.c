/* SPDX-License-Identifier: MIT
 *
 * Which mappings can hold pointers of the program's, and which of their pages hold anything.
 *
 * Whatever is not known for certain to be somebody else's counts: protection says nothing (memory
 * made inaccessible keeps its content), a file's pages count once they are the process's own.
 */
#include "target/pages_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "wire.h"

#define PAGES_DEVICE_UNREAD "memory of a device is mapped, whose content cannot be read"

bool pages_is_expired(const struct pages_list *l)
{
	return l->expired && l->expired(l->ctx);
}

int pages_fail_expired(const struct pages_list *l, struct err *e)
{
	return err_set(e, ERR_TIMEOUT, "cannot list the pages of process %d", (int)l->through);
}

static bool pages_begins(const char *path, const char *with)
{
	return !strncmp(path, with, strlen(with));
}

bool pages_is_memory_file(const struct mapping *m)
{
	return pages_begins(m->path, "/memfd:") || pages_begins(m->path, "/SYSV") ||
	       pages_begins(m->path, "/dev/zero") || pages_begins(m->path, "/dev/shm/") ||
	       pages_begins(m->path, "/anon_hugepage") || pages_begins(m->path, "[anon_shmem:");
}

/* Of the kernel's own making: code and clocks, or a ring that only it writes to or reads from. */
static bool pages_is_kernels(const struct mapping *m)
{
	return pages_begins(m->path, "[vdso]") || pages_begins(m->path, "[vvar") ||
	       pages_begins(m->path, "[vsyscall]") || pages_begins(m->path, "[uprobes]") ||
	       pages_begins(m->path, "anon_inode:");
}

/* Digits and dots and one of strand's own endings: no program names its files so. */
bool pages_is_table(const struct mapping *m)
{
	const char *name = strrchr(m->path, '/');
	size_t n;

	if (!m->shared || !name)
		return false;
	name++;
	n = strspn(name, "0123456789.");
	name += n ? n - 1 : 0; /* the dot of the ending */
	return n > 3 &&
	       (pages_begins(name, WIRE_TABLE_SUFFIX) || pages_begins(name, WIRE_CONTROL_SUFFIX));
}

/* /dev may hold ordinary files, too: /dev/shm, /dev/hugepages. */
static bool pages_is_device(const struct pages_list *l, const struct mapping *m)
{
	char path[512];
	struct stat st;
	int n;

	if (pages_begins(m->path, "/dmabuf:"))
		return true;
	if (!pages_begins(m->path, "/dev/") || pages_is_memory_file(m))
		return false;
	n = snprintf(path, sizeof(path), "/proc/%d/root%s", (int)l->through, m->path);
	return n < (int)sizeof(path) && !stat(path, &st) && S_ISCHR(st.st_mode);
}

static enum pages_kind pages_classify(struct pages_list *l, const struct mapping *m)
{
	if (pages_is_kernels(m) || pages_is_table(m))
		return PAGES_NONE;
	if (pages_is_device(l, m) && m->shared) {
		if (m->write)
			l->out->unread = PAGES_DEVICE_UNREAD;
		return PAGES_NONE;
	}
	if (m->shared)
		return PAGES_SHARED;
	if (!m->inode)
		return PAGES_ALL;
	return pages_begins(m->path, "/memfd:") ? PAGES_SHARED : PAGES_WRITTEN;
}

static int pages_file_compare(const void *va, const void *vb)
{
	const struct mapping *a = va, *b = vb;

	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	if (a->dev_major != b->dev_major)
		return a->dev_major < b->dev_major ? -1 : 1;
	return (a->dev_minor > b->dev_minor) - (a->dev_minor < b->dev_minor);
}

/* A private mapping may be a second view of what is written through a shared one. */
static int pages_find_views(struct pages_list *l)
{
	const struct maps *maps = l->maps;
	struct mapping *written = calloc(maps->n ? maps->n : 1, sizeof(*written));
	size_t n = 0;

	if (!written)
		return ERR_NOMEM;
	for (size_t i = 0; i < maps->n; i++)
		if (l->kinds[i] == PAGES_SHARED && maps->v[i].shared && maps->v[i].write)
			written[n++] = maps->v[i];
	if (n)
		qsort(written, n, sizeof(*written), pages_file_compare);
	for (size_t i = 0; n && i < maps->n; i++)
		if (l->kinds[i] == PAGES_WRITTEN &&
		    bsearch(&maps->v[i], written, n, sizeof(*written), pages_file_compare))
			l->kinds[i] = PAGES_SHARED;
	free(written);
	return 0;
}

static int pages_classify_all(struct pages_list *l)
{
	l->kinds = calloc(l->maps->n ? l->maps->n : 1, sizeof(*l->kinds));
	if (!l->kinds)
		return ERR_NOMEM;
	for (size_t i = 0; i < l->maps->n; i++)
		l->kinds[i] = pages_classify(l, &l->maps->v[i]);
	return pages_find_views(l);
}

/* -- the list --------------------------------------------------------------------------------- */

static int pages_add(struct pages_list *l, size_t mapping, uint64_t start, uint64_t end)
{
	struct pages *p = l->out;
	struct extent *bigger;

	p->bytes += end - start;
	if (p->n && l->last == mapping && p->v[p->n - 1].end == start) {
		p->v[p->n - 1].end = end;
		return 0;
	}
	if (p->n == l->room) {
		l->room = l->room ? 2 * l->room : 1024;
		bigger = reallocarray(p->v, l->room, sizeof(*bigger));
		if (!bigger)
			return ERR_NOMEM;
		p->v = bigger;
	}
	p->v[p->n++] = (struct extent){ start, end };
	l->last = mapping;
	return 0;
}

static bool pages_counts(enum pages_kind kind, bool file)
{
	return kind == PAGES_ALL || kind == PAGES_SHARED || (kind == PAGES_WRITTEN && !file);
}

/* A run may go over several mappings. */
static int pages_take_run(struct pages_list *l, uint64_t start, uint64_t end, bool file)
{
	const struct maps *maps = l->maps;
	int rc = 0;

	while (l->next < maps->n && maps->v[l->next].end <= start)
		l->next++;
	for (size_t i = l->next; i < maps->n && maps->v[i].start < end && !rc; i++) {
		const struct mapping *m = &maps->v[i];

		if (pages_counts(l->kinds[i], file))
			rc = pages_add(l, i, m->start > start ? m->start : start,
				       m->end < end ? m->end : end);
	}
	return rc;
}

int pages_list_by(bool plain, pid_t through, const struct maps *maps, bool (*expired)(void *ctx),
		  void *ctx, struct pages *out, struct err *e)
{
	struct pages_list l = { .through = through,
				.maps = maps,
				.plain = plain,
				.expired = expired,
				.ctx = ctx,
				.out = out };
	int rc;

	memset(out, 0, sizeof(*out));
	rc = pages_classify_all(&l);
	if (!rc)
		rc = pages_walk(&l, pages_take_run, e);
	if (rc == ERR_NOMEM)
		err_set(e, rc, "cannot list pages");
	if (!rc && !out->unread)
		rc = pages_check_shared(&l, e);
	free(l.kinds);
	return rc;
}

int pages_list(pid_t through, const struct maps *maps, bool (*expired)(void *ctx), void *ctx,
	       struct pages *out, struct err *e)
{
	return pages_list_by(false, through, maps, expired, ctx, out, e);
}

void pages_free(struct pages *p)
{
	free(p->v);
	memset(p, 0, sizeof(*p));
}
