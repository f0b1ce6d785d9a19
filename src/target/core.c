/* SPDX-License-Identifier: MIT
 *
 * Opening a core: what kind of file it is, its segments and what of them is there.
 *
 * The kernel writes headers and notes first and memory behind them, so a core that a limit cut short
 * lacks memory; gcore writes the notes last, so such a core has no threads.
 */
#include "target/core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/core_private.h"

#define CORE_LOADS_MAX (1u << 20)
#define CORE_WHAT      "cannot look at '%s'"

static const struct {
	const char *magic;
	size_t bytes;
	const char *name, *advice;
} core_packers[] = {
	{ "\x28\xb5\x2f\xfd", 4, "zstd", "unzstd FILE, or coredumpctl dump" },
	{ "\xfd"
	  "7zXZ",
	  5, "xz", "unxz FILE, or coredumpctl dump" },
	{ "\x04\x22\x4d\x18", 4, "lz4", "unlz4 FILE, or coredumpctl dump" },
	{ "\x1f\x8b", 2, "gzip", "gunzip FILE" },
	{ "BZh", 3, "bzip2", "bunzip2 FILE" },
};

size_t core_pread(int fd, uint64_t offset, void *buf, size_t bytes)
{
	size_t done = 0;

	while (done < bytes && offset <= (uint64_t)INT64_MAX - done) {
		ssize_t n = pread(fd, (char *)buf + done, bytes - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

void core_remark(struct core *c, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (c->remark_count < CORE_REMARKS_MAX && vasprintf(&text, fmt, ap) >= 0)
		c->remarks[c->remark_count++] = text;
	va_end(ap);
}

const char *const *core_remarks(const struct core *c, size_t *n)
{
	*n = c->remark_count;
	return (const char *const *)c->remarks;
}

/* Why it is no core that can be read; what else it is, where that can be told. */
static int core_refuse(const struct core *c, const uint8_t *head, size_t n, struct err *e)
{
	const Elf64_Ehdr *h = (const void *)head;

	for (size_t i = 0; i < sizeof(core_packers) / sizeof(core_packers[0]); i++)
		if (n >= core_packers[i].bytes &&
		    !memcmp(head, core_packers[i].magic, core_packers[i].bytes))
			return err_set(e, ERR_USAGE,
				       CORE_WHAT ": it is compressed with %s (unpack it first: %s)",
				       c->name, core_packers[i].name, core_packers[i].advice);
	if (n < sizeof(*h) || memcmp(head, ELFMAG, SELFMAG) || h->e_type != ET_CORE)
		return err_set(e, ERR_CORE, CORE_WHAT, c->name);
	if (h->e_ident[EI_CLASS] == ELFCLASS32)
		return err_set(e, ERR_CORE_MACHINE, CORE_WHAT " (of a 32-bit program)", c->name);
	return err_set(e, ERR_CORE_MACHINE, CORE_WHAT " (machine %u)", c->name, h->e_machine);
}

static int core_read_header(const struct core *c, Elf64_Ehdr *h, struct err *e)
{
	uint8_t head[sizeof(*h)] __attribute__((aligned(8))) = { 0 };
	size_t n = core_pread(c->fd, 0, head, sizeof(head));

	memcpy(h, head, sizeof(*h));
	if (n < sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_type != ET_CORE ||
	    h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB ||
	    h->e_machine != EM_X86_64)
		return core_refuse(c, head, n, e);
	return 0;
}

/* Beyond 65534 segments the header says so, and the first section header counts them. */
static uint64_t core_count_segments(const struct core *c, const Elf64_Ehdr *h)
{
	Elf64_Shdr first;

	if (h->e_phnum != PN_XNUM)
		return h->e_phnum;
	if (h->e_shentsize != sizeof(first) ||
	    core_pread(c->fd, h->e_shoff, &first, sizeof(first)) != sizeof(first))
		return 0;
	return first.sh_info;
}

static int core_damaged(const struct core *c, const char *how, struct err *e)
{
	return err_set(e, ERR_BAD_FORMAT, CORE_WHAT " (%s)", c->name, how);
}

static int core_read_segments(const struct core *c, Elf64_Phdr **out, size_t *count, struct err *e)
{
	Elf64_Ehdr h;
	uint64_t n;
	int rc = core_read_header(c, &h, e);

	if (rc)
		return rc;
	n = core_count_segments(c, &h);
	if (!n || h.e_phentsize != sizeof(Elf64_Phdr) || n > CORE_LOADS_MAX ||
	    h.e_phoff > c->bytes || n * sizeof(Elf64_Phdr) > c->bytes - h.e_phoff)
		return core_damaged(c, "its program headers are not there", e);
	*out = malloc(n * sizeof(**out));
	if (!*out)
		return err_set(e, ERR_NOMEM, CORE_WHAT, c->name);
	*count = core_pread(c->fd, h.e_phoff, *out, n * sizeof(**out)) / sizeof(**out);
	return 0;
}

static int core_compare_loads(const void *va, const void *vb)
{
	const struct core_load *a = va, *b = vb;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Take one PT_LOAD; false if it cannot be right. */
static bool core_add_load(struct core *c, const Elf64_Phdr *p)
{
	struct core_load *l = &c->loads[c->load_count];

	if (!p->p_memsz && !p->p_filesz)
		return true;
	if (p->p_filesz > p->p_memsz || p->p_memsz > UINT64_MAX - p->p_vaddr ||
	    p->p_offset > UINT64_MAX - p->p_filesz)
		return false;
	*l = (struct core_load){
		.start = p->p_vaddr,
		.end = p->p_vaddr + p->p_memsz,
		.offset = p->p_offset,
		.dumped = p->p_filesz,
		.read = p->p_flags & PF_R,
		.write = p->p_flags & PF_W,
		.exec = p->p_flags & PF_X,
		.read_unknown = p->p_align < CORE_PAGE,
	};
	if (p->p_offset < c->bytes)
		l->present =
			c->bytes - p->p_offset < l->dumped ? c->bytes - p->p_offset : l->dumped;
	c->missing += l->dumped - l->present;
	c->load_count++;
	return true;
}

static int core_take_loads(struct core *c, const Elf64_Phdr *v, size_t n, struct err *e)
{
	c->loads = calloc(n + 1, sizeof(*c->loads));
	if (!c->loads)
		return err_set(e, ERR_NOMEM, CORE_WHAT, c->name);
	for (size_t i = 0; i < n; i++)
		if (v[i].p_type == PT_LOAD && !core_add_load(c, &v[i]))
			return core_damaged(c, "a segment that cannot be", e);
	qsort(c->loads, c->load_count, sizeof(*c->loads), core_compare_loads);
	for (size_t i = 1; i < c->load_count; i++)
		if (c->loads[i].start < c->loads[i - 1].end)
			return core_damaged(c, "segments that overlap", e);
	return 0;
}

static int core_read_all(struct core *c, const char *exe, const char *sysroot, struct err *e)
{
	Elf64_Phdr *v = NULL;
	size_t n = 0;
	int rc = core_read_segments(c, &v, &n, e);

	if (!rc)
		rc = core_take_loads(c, v, n, e);
	for (size_t i = 0; i < n && !rc; i++)
		if (v[i].p_type == PT_NOTE)
			rc = core_read_notes(c, &v[i], e);
	free(v);
	if (!rc && !c->thread_count)
		rc = err_set(e, ERR_CORE_THREADS, CORE_WHAT, c->name);
	if (!rc)
		rc = core_sort_threads(c, e);
	if (!rc && c->missing)
		core_remark(c,
			    "the core is cut short by %llu bytes: what lies there counts as "
			    "unreadable",
			    (unsigned long long)c->missing);
	if (!rc)
		rc = core_find_files(c, exe, sysroot, e);
	if (!rc)
		rc = core_make_maps(c, e);
	if (!rc && !core_dumps_anonymous(c))
		core_remark(c,
			    "the core lacks private memory (bit 0 of coredump_filter): stacks and "
			    "most locks are not seen");
	return rc;
}

int core_open_fd(int fd, const char *name, const char *exe, const char *sysroot, struct core **out,
		 struct err *e)
{
	struct core *c = calloc(1, sizeof(*c));
	struct stat st;
	int rc;

	*out = NULL;
	if (!c)
		return err_set(e, ERR_NOMEM, CORE_WHAT, name);
	c->fd = fd;
	snprintf(c->name, sizeof(c->name), "%s", name);
	if (fstat(fd, &st) < 0)
		rc = err_set_errno(e, errno, CORE_WHAT, c->name);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, ERR_CORE, CORE_WHAT, c->name);
	else {
		c->bytes = (uint64_t)st.st_size;
		rc = core_read_all(c, exe, sysroot, e);
	}
	if (rc) {
		c->fd = -1;
		core_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

int core_open(const char *path, const char *exe, const char *sysroot, struct core **out,
	      struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc;

	*out = NULL;
	if (fd < 0)
		return err_set_errno(e, errno, "cannot open '%.200s'", path);
	rc = core_open_fd(fd, path, exe, sysroot, out, e);
	if (rc)
		close(fd);
	return rc;
}

bool core_is_partial(const struct core *c)
{
	return c->missing || !core_dumps_anonymous(c);
}

void core_close(struct core *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->file_count; i++)
		if (c->files[i].fd >= 0)
			close(c->files[i].fd);
	for (size_t i = 0; i < c->remark_count; i++)
		free(c->remarks[i]);
	free(c->files);
	free(c->mapped);
	free(c->mapped_text);
	free(c->threads);
	free(c->auxv);
	free(c->loads);
	free(c->pieces);
	maps_free(&c->maps);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}
