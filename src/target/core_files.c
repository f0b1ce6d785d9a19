/* SPDX-License-Identifier: MIT
 *
 * The files that a core says were mapped. Only ELF files matter. Each is looked for where it was, below
 * the root that was given, and believed only if it is the one that ran: the head of every ELF file is in a
 * core by default, with its build id; without one the heads themselves are compared.
 *
 * Paths are other people's: they are opened so that they cannot lead out of the root, and nothing
 * but regular files is opened for reading.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target/core_private.h"
#include "target/elf_file.h"

#define NOTES_BYTES_MAX 65536u
#define FILES_MAX	65536u

/* A way to read a file: from the file itself, or its head from the core's memory. */
struct core_bytes {
	const struct core *core; /* NULL: from fd */
	uint64_t at;		 /* where the head lies in memory */
	int fd;
};

static bool core_bytes_read(const struct core_bytes *b, uint64_t offset, void *buf, size_t bytes)
{
	if (!b->core)
		return core_pread(b->fd, offset, buf, bytes) == bytes;
	return offset < UINT64_MAX - b->at &&
	       core_read_dumped(b->core, b->at + offset, buf, bytes) == bytes;
}

static bool core_read_program_headers(const struct core_bytes *b, Elf64_Phdr *v, size_t *n)
{
	Elf64_Ehdr h;

	*n = 0;
	if (!core_bytes_read(b, 0, &h, sizeof(h)) || memcmp(h.e_ident, ELFMAG, SELFMAG) ||
	    h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_machine != EM_X86_64 ||
	    h.e_phentsize != sizeof(*v) || h.e_phnum > CORE_SEGMENTS_MAX ||
	    !core_bytes_read(b, h.e_phoff, v, h.e_phnum * sizeof(*v)))
		return false;
	*n = h.e_phnum;
	return true;
}

/* The GNU build id among the notes at `offset`. */
static size_t core_find_build_id(const struct core_bytes *b, uint64_t offset, uint64_t bytes,
				 uint8_t *out)
{
	Elf64_Nhdr h;
	char name[4];

	for (uint64_t at = 0, step; bytes - at >= sizeof(h); at += step) {
		if (!core_bytes_read(b, offset + at, &h, sizeof(h)))
			return 0;
		step = sizeof(h) + ((h.n_namesz + UINT64_C(3)) & ~UINT64_C(3)) +
		       ((h.n_descsz + UINT64_C(3)) & ~UINT64_C(3));
		if (step > bytes - at)
			return 0;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && h.n_descsz &&
		    h.n_descsz <= MODULE_BUILD_ID_MAX &&
		    core_bytes_read(b, offset + at + sizeof(h), name, 4) && !memcmp(name, "GNU", 4))
			return core_bytes_read(b, offset + at + sizeof(h) + 4, out, h.n_descsz)
				       ? h.n_descsz
				       : 0;
	}
	return 0;
}

static size_t core_read_build_id(const struct core_bytes *b, const Elf64_Phdr *v, size_t n,
				 uint8_t *out)
{
	for (size_t i = 0; i < n; i++) {
		size_t found = 0;

		if (v[i].p_type == PT_NOTE && v[i].p_filesz <= NOTES_BYTES_MAX &&
		    v[i].p_offset <= INT64_MAX)
			found = core_find_build_id(b, v[i].p_offset, v[i].p_filesz, out);
		if (found)
			return found;
	}
	return 0;
}

uint32_t core_file_flags(const struct core_file *f, uint64_t offset)
{
	uint32_t flags = 0;

	for (size_t i = 0; i < f->segment_count; i++) {
		const Elf64_Phdr *p = &f->segments[i];
		uint64_t first = p->p_offset & ~(uint64_t)(CORE_PAGE - 1);

		if (p->p_type != PT_LOAD || offset < first ||
		    p->p_filesz > UINT64_MAX - p->p_offset || offset >= p->p_offset + p->p_filesz)
			continue;
		flags |= p->p_flags & (PF_R | PF_W | PF_X);
	}
	return flags;
}

/* -- opening ------------------------------------------------------------------------------------ */

/* A regular file that was opened by O_PATH, for reading; -1. Takes `look` over. */
static int core_open_regular(int look)
{
	char self[64];
	struct stat st;
	int fd = -1;

	if (look < 0)
		return -1;
	if (!fstat(look, &st) && S_ISREG(st.st_mode)) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", look);
		fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	}
	close(look);
	return fd;
}

/* `path` below `root`, if it is a regular file; else -1. */
static int core_open_below(int root, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* before 5.6, or in a sandbox */
		fd = openat(root, path + strspn(path, "/"), (int)how.flags);
	return core_open_regular(fd);
}

static int core_open_file(int root, const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t n = strlen(path), d = sizeof(deleted) - 1;
	char *name = strndup(path, n > d && !strcmp(path + n - d, deleted) ? n - d : n);
	int fd = name && *name == '/' ? core_open_below(root, name) : -1;

	free(name);
	return fd;
}

/* -- comparing ---------------------------------------------------------------------------------- */

static bool core_same_head(int fd, const struct core_bytes *head)
{
	uint8_t a[CORE_PAGE] = { 0 }, b[CORE_PAGE] = { 0 };

	core_pread(fd, 0, b, sizeof(b)); /* a shorter file ends in zeros */
	return core_bytes_read(head, 0, a, sizeof(a)) && !memcmp(a, b, sizeof(a));
}

static void core_format_id(const uint8_t *id, size_t n, char *buf, size_t size)
{
	snprintf(buf, size, "none");
	for (size_t i = 0; i < n && 2 * i + 3 <= size; i++)
		snprintf(buf + 2 * i, 3, "%02x", id[i]);
}

/* A file that is mapped, and the file at hand that may be it. */
struct core_match {
	struct core_bytes head; /* in memory; core NULL: it is not there */
	Elf64_Phdr segments[CORE_SEGMENTS_MAX];
	size_t segment_count;
	uint8_t id[MODULE_BUILD_ID_MAX]; /* of the file at hand */
	size_t id_bytes;
};

static enum core_file_state core_compare(struct core_file *f, const struct core_match *m, int fd)
{
	if (!m->head.core)
		return CORE_FILE_UNKNOWN;
	if (f->build_id_bytes || m->id_bytes)
		return f->build_id_bytes == m->id_bytes && !memcmp(f->build_id, m->id, m->id_bytes)
			       ? CORE_FILE_FINE
			       : CORE_FILE_ANOTHER;
	return core_same_head(fd, &m->head) ? CORE_FILE_FINE : CORE_FILE_ANOTHER;
}

/* Look at the head of the file in memory, and at the file at `fd` (-1: there is none). */
static void core_examine(const struct core *c, struct core_file *f, int fd, struct core_match *m)
{
	const struct core_bytes file = { .fd = fd };

	memset(m, 0, sizeof(*m));
	if (f->head) {
		m->head = (struct core_bytes){ .core = c, .at = f->head->start };
		if (!core_read_program_headers(&m->head, f->segments, &f->segment_count))
			m->head.core = NULL;
		else
			f->build_id_bytes = core_read_build_id(&m->head, f->segments,
							       f->segment_count, f->build_id);
	}
	f->state = m->head.core ? CORE_FILE_ABSENT : CORE_FILE_DATA;
	if (fd < 0 || !core_read_program_headers(&file, m->segments, &m->segment_count))
		return;
	m->id_bytes = core_read_build_id(&file, m->segments, m->segment_count, m->id);
	f->state = core_compare(f, m, fd);
	if (f->state == CORE_FILE_ANOTHER)
		return;
	memcpy(f->segments, m->segments, sizeof(f->segments));
	f->segment_count = m->segment_count;
}

static int core_refuse_file(const struct core *c, const struct core_file *f,
			    const struct core_match *m, const char *path, struct err *e)
{
	char ran[2 * MODULE_BUILD_ID_MAX + 1], is[2 * MODULE_BUILD_ID_MAX + 1];

	core_format_id(f->build_id, f->build_id_bytes, ran, sizeof(ran));
	core_format_id(m->id, m->id_bytes, is, sizeof(is));
	return err_set(e, ERR_BUILD_ID,
		       "cannot look at '%.100s' with '%.150s' (build id %s, %s ran)", c->name, path,
		       is, ran);
}

/* What is said of a file that is left out. */
static void core_remark_file(struct core *c, const struct core_file *f)
{
	char id[2 * MODULE_BUILD_ID_MAX + 1];

	core_format_id(f->build_id, f->build_id_bytes, id, sizeof(id));
	switch (f->state) {
	case CORE_FILE_ABSENT:
		core_remark(
			c,
			"%s (build id %s) is not there: names and stacks suffer, and what it may do is not known",
			f->path, id);
		break;
	case CORE_FILE_ANOTHER:
		core_remark(c,
			    "%s is not the file that ran (build id %s): it is left out, names and "
			    "stacks suffer, and what it may do is not known",
			    f->path, id);
		break;
	case CORE_FILE_UNKNOWN:
		core_remark(c,
			    "the core does not tell whether %s is the file that ran: it is left "
			    "out",
			    f->path);
		break;
	default:
		break;
	}
}

static int core_find_file(struct core *c, struct core_file *f, const char *exe, int root,
			  struct err *e)
{
	const char *given = f->main ? exe : NULL;
	struct core_match m;
	int fd = given ? core_open_regular(open(given, O_PATH | O_CLOEXEC))
		       : core_open_file(root, f->path);

	if (given && fd < 0)
		return err_set_errno(e, errno, "cannot open '%.200s'", given);
	core_examine(c, f, fd, &m);
	if (given && !m.segment_count) {
		close(fd);
		return err_set(e, ERR_USAGE, "cannot use '%.200s': it is not a program for x86-64",
			       given);
	}
	if (f->main && f->state == CORE_FILE_ANOTHER) {
		close(fd);
		return core_refuse_file(c, f, &m, given ? given : f->path, e);
	}
	if (given && f->state == CORE_FILE_UNKNOWN) {
		core_remark(c, "the core does not tell whether %s is the program that ran", given);
		f->state = CORE_FILE_FINE;
	}
	core_remark_file(c, f);
	if (f->state == CORE_FILE_FINE)
		f->fd = fd;
	else if (fd >= 0)
		close(fd);
	return 0;
}

/* -- the list ----------------------------------------------------------------------------------- */

static int core_compare_paths(const void *va, const void *vb)
{
	const struct core_mapped *const *a = va, *const *b = vb;
	int order = strcmp((*a)->path, (*b)->path);

	return order ? order : ((*a)->start > (*b)->start) - ((*a)->start < (*b)->start);
}

/* One file for each path. */
static int core_list_files(struct core *c)
{
	struct core_mapped **v = calloc(c->mapped_count + 1, sizeof(struct core_mapped *));
	struct core_file *f;

	c->files = calloc(c->mapped_count + 1, sizeof(*c->files));
	if (!v || !c->files) {
		free(v);
		return ERR_NOMEM;
	}
	for (size_t i = 0; i < c->mapped_count; i++)
		v[i] = &c->mapped[i];
	qsort(v, c->mapped_count, sizeof(struct core_mapped *), core_compare_paths);
	for (size_t i = 0; i < c->mapped_count; i++) {
		if (!i || strcmp(v[i]->path, v[i - 1]->path)) {
			c->files[c->file_count].path = v[i]->path;
			c->files[c->file_count++].fd = -1;
		}
		f = &c->files[c->file_count - 1];
		v[i]->file = c->file_count - 1;
		if (!f->head && !v[i]->offset)
			f->head = v[i];
	}
	free(v);
	return 0;
}

/* The program is the file whose headers the kernel told the process of. */
static void core_mark_main(struct core *c)
{
	uint64_t address = c->program_headers ? c->program_headers : c->entry;

	for (size_t i = 0; i < c->mapped_count; i++)
		if (address >= c->mapped[i].start && address < c->mapped[i].end)
			c->files[c->mapped[i].file].main = true;
}

static int core_open_root(const char *sysroot, struct err *e)
{
	int fd = open(sysroot ? sysroot : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_set_errno(e, errno, "cannot use the folder '%.200s'", sysroot) : fd;
}

int core_find_files(struct core *c, const char *exe, const char *sysroot, struct err *e)
{
	bool has_main = false;
	int root, rc;

	if (core_list_files(c))
		return err_set(e, ERR_NOMEM, "cannot look at '%s'", c->name);
	if (c->file_count > FILES_MAX)
		return err_set(e, ERR_BAD_FORMAT, "cannot look at '%s' (files)", c->name);
	core_mark_main(c);
	root = core_open_root(sysroot, e);
	if (root < 0)
		return root;
	rc = 0;
	for (size_t i = 0; i < c->file_count && !rc; i++) {
		has_main = has_main || c->files[i].main;
		rc = core_find_file(c, &c->files[i], exe, root, e);
	}
	close(root);
	if (!rc && !has_main)
		core_remark(c, "the core does not tell which program ran%s",
			    exe ? ": --exe is not used" : "");
	return rc;
}
