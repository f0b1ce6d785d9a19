/* SPDX-License-Identifier: MIT
 *
 * Shared memory may hold more than the pages that are mapped in: written through a mapping that is
 * gone, by write(2), by another process, or moved out to disk. Reading it through the process
 * would map it in there, or even allocate it; so it is asked for by its file:
 *
 *   - each file's pages that some mapping covers and none has mapped in are missing;
 *   - what is a hole of the file holds nothing;
 *   - a file on a disk that nobody has changed since the process began holds none of its pointers;
 *   - what remains is read, up to PAGES_READ_BYTES in all and without waiting for a disk: if no
 *     eight bytes of it could be an address in the process, it holds no pointers;
 *   - otherwise it is unread.
 *
 * Only files that can be asked without waiting for a server are: those on the file systems below.
 * A file that is mapped for reading only, and is not one of those that are mere memory, is taken
 * for its content: unread it may be, but none of the program's pointers are there.
 */
#include "target/pages_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "target/procfs.h"

#define PAGES_READ_BYTES ((uint64_t)8 << 20)
#define PAGES_CHUNK	 ((size_t)256 << 10)
#define PAGES_OVERLAP	 7u   /* a word may begin in front of a piece, or end behind it */
#define PAGES_MAX_ASKED	 4096 /* pieces of files asked for, in all */

#define PAGES_UNREAD "shared memory that is not mapped in may hold pointers"

/* Part of a mapping, by offset in its file. */
struct pages_part {
	const struct mapping *m;
	uint64_t start, end;
	bool there; /* mapped in */
};

struct pages_shared {
	struct pages_list *l;
	struct pages_part *v; /* by file, then offset */
	size_t n, room;
	uint64_t left; /* bytes that may still be read */
	size_t asked;
	char *mounts; /* /proc/PID/mountinfo, once needed */
	uint8_t *buf;
	uint64_t regions[1024]; /* bit n: something is mapped in the n-th 4 GB */
};

static int pages_part_compare(const void *va, const void *vb)
{
	const struct pages_part *a = va, *b = vb;

	if (a->m->dev_major != b->m->dev_major)
		return a->m->dev_major < b->m->dev_major ? -1 : 1;
	if (a->m->dev_minor != b->m->dev_minor)
		return a->m->dev_minor < b->m->dev_minor ? -1 : 1;
	if (a->m->inode != b->m->inode)
		return a->m->inode < b->m->inode ? -1 : 1;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return (a->end > b->end) - (a->end < b->end);
}

static bool pages_same_file(const struct mapping *a, const struct mapping *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

static int pages_add_part(struct pages_shared *s, size_t mapping, uint64_t start, uint64_t end,
			  bool there)
{
	const struct mapping *m = &s->l->maps->v[mapping];
	struct pages_part *bigger;

	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 256;
		bigger = reallocarray(s->v, s->room, sizeof(*bigger));
		if (!bigger)
			return ERR_NOMEM;
		s->v = bigger;
	}
	s->v[s->n++] = (struct pages_part){ .m = m,
					    .start = m->offset + (start - m->start),
					    .end = m->offset + (end - m->start),
					    .there = there };
	return 0;
}

/* The whole of each shared mapping, and each run of it that is mapped in. What is mapped in of a
 * private one may be its own copy, which says nothing of the file. */
static int pages_collect_parts(struct pages_shared *s)
{
	const struct maps *maps = s->l->maps;
	const struct pages *p = s->l->out;
	int rc = 0;

	for (size_t i = 0, k = 0; i < maps->n && !rc; i++) {
		const struct mapping *m = &maps->v[i];

		while (k < p->n && p->v[k].end <= m->start)
			k++;
		if (s->l->kinds[i] != PAGES_SHARED)
			continue;
		rc = pages_add_part(s, i, m->start, m->end, false);
		for (; m->shared && k < p->n && p->v[k].start < m->end && !rc; k++)
			rc = pages_add_part(s, i, p->v[k].start, p->v[k].end, true);
	}
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), pages_part_compare);
	return rc;
}

/* -- the file --------------------------------------------------------------------------------- */

/* Does the file lie where asking for it does not wait for a server? */
static bool pages_is_local(struct pages_shared *s, const struct mapping *m)
{
	static const char *const known[] = { "ext2",  "ext3",	   "ext4",   "xfs",
					     "btrfs", "f2fs",	   "zfs",    "tmpfs",
					     "ramfs", "hugetlbfs", "overlay" };
	char path[64], key[32];
	const char *at, *type;

	if (pages_is_memory_file(m))
		return true;
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)s->l->through);
	if (!s->mounts)
		s->mounts = procfs_read(path, NULL);
	snprintf(key, sizeof(key), " %u:%u /", m->dev_major, m->dev_minor);
	at = s->mounts ? strstr(s->mounts, key) : NULL;
	at = at ? strpbrk(at, "\n") : NULL;
	if (!at)
		return false;
	/* The type stands behind " - ", which no path before it can hold: blanks are escaped. */
	for (type = at; type > s->mounts && strncmp(type, " - ", 3) != 0;)
		type--;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t n = strlen(known[i]);

		if (!strncmp(type + 3, known[i], n) && type[3 + n] == ' ')
			return true;
	}
	return false;
}

/* The file behind `path`, if that is what `m` maps; its time of access is left alone. */
static int pages_open_path(const struct mapping *m, const char *path, int more_flags)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOATIME | more_flags);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_ino != m->inode ||
			st.st_dev != makedev(m->dev_major, m->dev_minor))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* A file without a name may still be open in the process. */
static int pages_open_descriptor(const struct pages_shared *s, const struct mapping *m)
{
	struct dirent *entry;
	char path[96];
	int asked = 0, fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)s->l->through);
	dir = opendir(path);
	while (dir && fd < 0 && asked++ < PAGES_MAX_ASKED && (entry = readdir(dir))) {
		char link[256];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)s->l->through,
			 atoi(entry->d_name));
		n = readlink(path, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		if (n > 0 && !strcmp(link, m->path))
			fd = pages_open_path(m, path, 0);
	}
	if (dir)
		closedir(dir);
	return fd;
}

/* By the kernel's own link, for the privileged; else by path or descriptor. */
static int pages_open(const struct pages_shared *s, const struct mapping *m)
{
	char path[512];
	int fd, n;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)s->l->through,
		 m->start, m->end);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOATIME);
	if (fd >= 0 || m->path[0] != '/')
		return fd;
	n = snprintf(path, sizeof(path), "/proc/%d/root%s", (int)s->l->through, m->path);
	if (n < (int)sizeof(path))
		fd = pages_open_path(m, path, O_NOFOLLOW);
	return fd >= 0 ? fd : pages_open_descriptor(s, m);
}

/* When the process began, by the wall clock and a little earlier; 0: not known, or it is a copy of
 * another, whose pointers are its own as well. */
static time_t pages_read_birth(const struct pages_shared *s)
{
	struct timespec boot, real;
	const char *field;
	char path[64], text[4096];

	/* The thread may be younger than the process. */
	snprintf(path, sizeof(path), "/proc/%d/status", (int)s->l->through);
	if (procfs_read_into(path, text, sizeof(text)) <= 0)
		return 0;
	field = procfs_find_field(text, "Tgid");
	snprintf(path, sizeof(path), "/proc/%d/stat", field ? atoi(field) : 0);
	if (procfs_read_into(path, text, sizeof(text)) <= 0 || procfs_is_copy(text))
		return 0;
	field = procfs_find_stat_field(text, 22);
	if (!field || clock_gettime(CLOCK_BOOTTIME, &boot) || clock_gettime(CLOCK_REALTIME, &real))
		return 0;
	return real.tv_sec - boot.tv_sec +
	       (time_t)(strtoull(field, NULL, 10) / (uint64_t)sysconf(_SC_CLK_TCK)) - 2;
}

/* On these every first write through a mapping changes the time of the inode, which programs
 * cannot set. (Memory file systems do not.) */
static bool pages_is_older(const struct pages_shared *s, int fd)
{
	time_t birth = pages_read_birth(s);
	struct statfs fs;
	struct stat st;

	if (!birth || fstatfs(fd, &fs) || fstat(fd, &st))
		return false;
	switch ((unsigned long)fs.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
		return st.st_ctim.tv_sec < birth;
	default:
		return false;
	}
}

/* -- content ---------------------------------------------------------------------------------- */

static void pages_note_regions(struct pages_shared *s)
{
	const struct maps *maps = s->l->maps;

	for (size_t i = 0; i < maps->n; i++) {
		uint64_t last = (maps->v[i].end - 1) >> 32;

		for (uint64_t r = maps->v[i].start >> 32; r <= last && r < 65536; r++)
			s->regions[r / 64] |= UINT64_C(1) << (r % 64);
	}
}

/* Could eight bytes somewhere in it be an address within the process, tagged or not? */
static bool pages_has_address(const struct pages_shared *s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + sizeof(uint64_t) <= n; i++) {
		uint64_t word;
		unsigned region;

		memcpy(&word, p + i, sizeof(word));
		region = word >> 32 & 0xffff;
		if (s->regions[region / 64] >> (region % 64) & 1 &&
		    maps_find(s->l->maps, word & UINT64_C(0xffffffffffff)))
			return true;
	}
	return false;
}

/* Read without waiting for a disk; what is mere memory is there or comes from swap. */
static ssize_t pages_read_file(const struct pages_shared *s, int fd, const struct mapping *m,
			       uint64_t at, size_t bytes)
{
	struct iovec iov = { s->buf, bytes };

	if (pages_is_memory_file(m))
		return pread(fd, s->buf, bytes, (off_t)at);
	return preadv2(fd, &iov, 1, (off_t)at, RWF_NOWAIT);
}

/* Is it certain that [start, end) of the file, which is no hole, holds no pointers? */
static bool pages_is_innocent(struct pages_shared *s, int fd, const struct mapping *m,
			      uint64_t start, uint64_t end)
{
	if (end - start > s->left)
		return false;
	s->left -= end - start;
	start -= start < PAGES_OVERLAP ? start : PAGES_OVERLAP;
	while (start < end) {
		uint64_t want = end + PAGES_OVERLAP - start;
		ssize_t got;

		want = want < PAGES_CHUNK ? want : PAGES_CHUNK;
		got = pages_read_file(s, fd, m, start, (size_t)want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || pages_has_address(s, s->buf, (size_t)got))
			return false;
		if ((size_t)got <= PAGES_OVERLAP)
			return true; /* the end of the file */
		start += (uint64_t)got - PAGES_OVERLAP;
	}
	return true;
}

/* The same for a piece that may have holes. */
static bool pages_check_piece(struct pages_shared *s, int fd, const struct mapping *m,
			      uint64_t start, uint64_t end)
{
	while (start < end) {
		off_t data, hole;

		if (++s->asked > PAGES_MAX_ASKED || pages_is_expired(s->l))
			return false;
		data = lseek(fd, (off_t)start, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO;
		if ((uint64_t)data >= end)
			return true;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole <= data)
			return false;
		start = (uint64_t)hole < end ? (uint64_t)hole : end;
		if (!pages_is_innocent(s, fd, m, (uint64_t)data, start))
			return false;
	}
	return true;
}

/* -- what is missing -------------------------------------------------------------------------- */

struct pages_gaps {
	const struct pages_part *v; /* the parts of one file */
	size_t n;
	size_t mapped, there; /* where we are among those of each kind */
	uint64_t at;
};

/* The next piece of the file that is mapped and nowhere mapped in; false: no more. */
static bool pages_next_gap(struct pages_gaps *g, uint64_t *start, uint64_t *end)
{
	for (; g->mapped < g->n; g->mapped++) {
		const struct pages_part *p = &g->v[g->mapped];

		if (p->there)
			continue;
		g->at = g->at > p->start ? g->at : p->start;
		while (g->at < p->end) {
			while (g->there < g->n &&
			       (!g->v[g->there].there || g->v[g->there].end <= g->at))
				g->there++;
			*start = g->at;
			*end = p->end;
			if (g->there < g->n && g->v[g->there].start < *end)
				*end = g->v[g->there].start;
			g->at = *end;
			if (*start < *end)
				return true;
			g->at = g->v[g->there].end;
		}
	}
	return false;
}

/* Can the file hold what the program wrote there in place of memory? */
static const struct mapping *pages_find_writable(const struct pages_part *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((v[i].m->shared && v[i].m->write) || pages_is_memory_file(v[i].m))
			return v[i].m;
	return NULL;
}

/* Is all that one file holds known? */
static bool pages_check_file(struct pages_shared *s, const struct pages_part *v, size_t n)
{
	struct pages_gaps gaps = { .v = v, .n = n };
	const struct mapping *m = pages_find_writable(v, n);
	uint64_t start, end;
	bool known = true;
	int fd;

	if (!m || !pages_next_gap(&gaps, &start, &end))
		return true;
	fd = pages_is_local(s, m) ? pages_open(s, m) : -1;
	if (fd < 0)
		return false;
	if (!pages_is_older(s, fd)) {
		do
			known = pages_check_piece(s, fd, m, start, end);
		while (known && pages_next_gap(&gaps, &start, &end));
	}
	close(fd);
	return known;
}

int pages_check_shared(struct pages_list *l, struct err *e)
{
	struct pages_shared s = { .l = l, .left = PAGES_READ_BYTES };
	int rc = pages_collect_parts(&s);

	s.buf = malloc(PAGES_CHUNK);
	if (rc || !s.buf) {
		rc = err_set(e, ERR_NOMEM, "cannot list pages");
		goto out;
	}
	pages_note_regions(&s);
	for (size_t i = 0, n; i < s.n && !l->out->unread; i += n) {
		for (n = 1; i + n < s.n && pages_same_file(s.v[i].m, s.v[i + n].m);)
			n++;
		if (!pages_check_file(&s, &s.v[i], n))
			l->out->unread = PAGES_UNREAD;
	}
	if (pages_is_expired(l))
		rc = pages_fail_expired(l, e);
out:
	free(s.buf);
	free(s.v);
	free(s.mounts);
	return rc;
}
