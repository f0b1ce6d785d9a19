/* SPDX-License-Identifier: MIT
 *
 * The notes of a core. Each thread begins with its NT_PRSTATUS; what follows up to the next one is
 * its own. Notes that strand has no use for are stepped over without being read.
 *
 * Layouts are the kernel's, which sys/procfs.h has (struct elf_prstatus, elf_prpsinfo).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>

#include "target/core_private.h"

#define NOTE_WINDOW_BYTES 65536u
#define NOTE_NAME_MAX	  256u
#define AUXV_BYTES_MAX	  4096u
#define FILE_NOTE_MAX	  (256ull << 20)
#define FILE_LINE_WORDS	  3

_Static_assert(sizeof(struct elf_prstatus) == 336, "NT_PRSTATUS");
_Static_assert(sizeof(struct elf_prpsinfo) == 136, "NT_PRPSINFO");
_Static_assert(sizeof(elf_gregset_t) == sizeof(struct user_regs_struct), "registers");

struct note {
	uint32_t type;
	bool linux_name; /* "LINUX", rather than "CORE" */
	uint64_t offset, bytes;
};

/* A segment of notes, read through a window. */
struct note_reader {
	const struct core *core;
	uint64_t at, end;
	uint64_t window_at;
	size_t window_bytes;
	uint8_t window[NOTE_WINDOW_BYTES];
};

static bool note_read(struct note_reader *r, uint64_t at, void *buf, size_t bytes)
{
	if (at < r->window_at || at - r->window_at > r->window_bytes ||
	    bytes > r->window_bytes - (at - r->window_at)) {
		r->window_at = at;
		r->window_bytes = core_pread(r->core->fd, at, r->window, sizeof(r->window));
	}
	if (bytes > r->window_bytes - (at - r->window_at))
		return false;
	memcpy(buf, r->window + (at - r->window_at), bytes);
	return true;
}

/* The next note; false at the end, and where nothing sensible follows. */
static bool note_next(struct note_reader *r, struct note *out)
{
	char name[8] = "";
	Elf64_Nhdr h;
	uint64_t room = r->end - r->at, name_bytes, bytes;

	if (room < sizeof(h) || !note_read(r, r->at, &h, sizeof(h)))
		return false;
	name_bytes = (h.n_namesz + UINT64_C(3)) & ~UINT64_C(3);
	bytes = (h.n_descsz + UINT64_C(3)) & ~UINT64_C(3);
	room -= sizeof(h);
	if (!h.n_namesz || h.n_namesz > NOTE_NAME_MAX || name_bytes > room ||
	    h.n_descsz > room - name_bytes)
		return false;
	if (h.n_namesz < sizeof(name) && !note_read(r, r->at + sizeof(h), name, h.n_namesz))
		return false;
	out->type = strcmp(name, "CORE") && strcmp(name, "LINUX") ? 0 : h.n_type;
	out->linux_name = !strcmp(name, "LINUX");
	out->offset = r->at + sizeof(h) + name_bytes;
	out->bytes = h.n_descsz;
	r->at = bytes > room - name_bytes ? r->end : out->offset + bytes;
	return true;
}

static struct core_thread *core_add_thread(struct core *c)
{
	if (c->thread_count == c->thread_room) {
		size_t room = c->thread_room ? 2 * c->thread_room : 64;
		struct core_thread *v = reallocarray(c->threads, room, sizeof(*v));

		if (!v)
			return NULL;
		c->threads = v;
		c->thread_room = room;
	}
	return &c->threads[c->thread_count++];
}

/* Bit 8 is the SIGKILL by which the kernel stops everybody for the dump. */
#define SIGNAL_OF_THE_DUMP (UINT64_C(1) << 8)

static int core_take_status(struct core *c, const struct note *n)
{
	struct elf_prstatus s;
	struct core_thread *t;

	if (n->bytes != sizeof(s) || core_pread(c->fd, n->offset, &s, sizeof(s)) != sizeof(s) ||
	    s.pr_pid <= 0 || c->thread_count >= CORE_THREADS_MAX)
		return ERR_BAD_FORMAT;
	t = core_add_thread(c);
	if (!t)
		return ERR_NOMEM;
	memset(t, 0, sizeof(*t));
	t->thread.tid = t->thread.tid_ns = s.pr_pid;
	t->thread.state = STOP_THREAD_STOPPED;
	t->thread.blocked_signals = s.pr_sighold;
	t->thread.signal_pending = s.pr_sigpend & ~s.pr_sighold & ~SIGNAL_OF_THE_DUMP;
	memcpy(&t->thread.regs.raw, &s.pr_reg, sizeof(t->thread.regs.raw));
	return 0;
}

static void core_take_vector(struct core *c, const struct note *n)
{
	struct core_thread *t = c->thread_count ? &c->threads[c->thread_count - 1] : NULL;

	if (!t || n->offset > c->bytes || n->bytes > c->bytes - n->offset)
		return;
	if (n->type == NT_X86_XSTATE && n->linux_name) {
		t->vector_offset = n->offset;
		t->vector_bytes = n->bytes;
	} else if (n->type == NT_FPREGSET && !n->linux_name && !t->vector_bytes) {
		t->vector_offset = n->offset; /* the beginning of the other, which may be absent */
		t->vector_bytes = n->bytes;
	}
}

static void core_take_info(struct core *c, const struct note *n)
{
	struct elf_prpsinfo i;

	if (c->has_info || n->bytes != sizeof(i) ||
	    core_pread(c->fd, n->offset, &i, sizeof(i)) != sizeof(i))
		return;
	c->has_info = true;
	c->pid = i.pr_pid > 0 ? i.pr_pid : 0;
	c->ppid = i.pr_ppid > 0 ? i.pr_ppid : 0;
	c->flags = i.pr_flag;
	memcpy(c->comm, i.pr_fname, sizeof(c->comm) - 1);
	memcpy(c->arguments, i.pr_psargs, sizeof(c->arguments) - 1);
}

static int core_take_auxv(struct core *c, const struct note *n)
{
	uint64_t pair[2];

	if (c->auxv || n->bytes > AUXV_BYTES_MAX)
		return 0;
	c->auxv = malloc(n->bytes + 1);
	if (!c->auxv)
		return ERR_NOMEM;
	c->auxv_bytes = core_pread(c->fd, n->offset, c->auxv, n->bytes);
	for (size_t i = 0; i + sizeof(pair) <= c->auxv_bytes; i += sizeof(pair)) {
		memcpy(pair, c->auxv + i, sizeof(pair));
		switch (pair[0]) {
		case AT_NULL:
			return 0;
		case AT_ENTRY:
			c->entry = pair[1];
			break;
		case AT_PHDR:
			c->program_headers = pair[1];
			break;
		case AT_EXECFN:
			c->executable_name = pair[1];
			break;
		case AT_SYSINFO_EHDR:
			c->vdso = pair[1];
			break;
		default:
			break;
		}
	}
	return 0;
}

/* Count, bytes of a page; then start, end and page in the file of each; then the paths. */
static int core_parse_files(struct core *c, uint64_t bytes)
{
	const char *text = c->mapped_text, *end = text + bytes, *path;
	uint64_t head[2], line[FILE_LINE_WORDS], floor = 0;

	if (bytes < sizeof(head))
		return ERR_BAD_FORMAT;
	memcpy(head, text, sizeof(head));
	if (head[0] > (bytes - sizeof(head)) / sizeof(line) || !head[1] || head[1] > UINT32_MAX)
		return ERR_BAD_FORMAT;
	c->mapped = calloc(head[0] + 1, sizeof(*c->mapped));
	if (!c->mapped)
		return ERR_NOMEM;
	path = text + sizeof(head) + head[0] * sizeof(line);
	for (size_t i = 0; i < head[0]; i++) {
		struct core_mapped *m = &c->mapped[i];

		memcpy(line, text + sizeof(head) + i * sizeof(line), sizeof(line));
		if (path >= end || line[0] >= line[1] || line[0] < floor ||
		    __builtin_mul_overflow(line[2], head[1], &m->offset) ||
		    (line[0] | line[1] | m->offset) % CORE_PAGE)
			return ERR_BAD_FORMAT;
		m->start = line[0];
		m->end = floor = line[1];
		m->path = path;
		path += strnlen(path, (size_t)(end - path)) + 1;
		c->mapped_count++;
	}
	return 0;
}

static int core_take_files(struct core *c, const struct note *n)
{
	int rc;

	if (c->mapped_text || n->bytes > FILE_NOTE_MAX || n->offset > c->bytes ||
	    n->bytes > c->bytes - n->offset)
		return 0;
	c->mapped_text = malloc(n->bytes + 1);
	if (!c->mapped_text)
		return ERR_NOMEM;
	if (core_pread(c->fd, n->offset, c->mapped_text, n->bytes) != n->bytes)
		return 0;
	c->mapped_text[n->bytes] = '\0';
	rc = core_parse_files(c, n->bytes);
	if (rc != ERR_BAD_FORMAT)
		return rc;
	/* Some lines of a list are worse than none. */
	c->mapped_count = 0;
	core_remark(c,
		    "the core's list of mapped files is damaged: no names, and little is proved");
	return 0;
}

static int core_take_note(struct core *c, const struct note *n)
{
	switch (n->type) {
	case NT_PRSTATUS:
		return n->linux_name ? 0 : core_take_status(c, n);
	case NT_FPREGSET:
	case NT_X86_XSTATE:
		core_take_vector(c, n);
		return 0;
	case NT_PRPSINFO:
		core_take_info(c, n);
		return 0;
	case NT_AUXV:
		return core_take_auxv(c, n);
	case NT_FILE:
		return core_take_files(c, n);
	default:
		return 0;
	}
}

static int core_compare_threads(const void *va, const void *vb)
{
	const struct core_thread *a = va, *b = vb;

	return (a->thread.tid > b->thread.tid) - (a->thread.tid < b->thread.tid);
}

int core_sort_threads(struct core *c, struct err *e)
{
	qsort(c->threads, c->thread_count, sizeof(*c->threads), core_compare_threads);
	for (size_t i = 1; i < c->thread_count; i++)
		if (c->threads[i].thread.tid == c->threads[i - 1].thread.tid)
			return err_set(e, ERR_BAD_FORMAT, "cannot look at '%s' (thread %d twice)",
				       c->name, (int)c->threads[i].thread.tid);
	return 0;
}

/* A thread that is not seen could wake anybody: notes that end before their end are no use. */
int core_read_notes(struct core *c, const Elf64_Phdr *segment, struct err *e)
{
	struct note_reader *r;
	struct note n;
	bool cut;
	int rc = 0;

	if (segment->p_offset >= c->bytes)
		return err_set(e, ERR_CORE_CUT, "cannot look at '%s'", c->name);
	r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(e, ERR_NOMEM, "cannot look at '%s'", c->name);
	r->core = c;
	r->at = segment->p_offset;
	r->end = c->bytes - r->at < segment->p_filesz ? c->bytes : r->at + segment->p_filesz;
	while (!rc && note_next(r, &n))
		rc = core_take_note(c, &n);
	cut = c->bytes - segment->p_offset < segment->p_filesz ||
	      r->end - r->at >= sizeof(Elf64_Nhdr);
	free(r);
	if (!rc && cut)
		return err_set(e, ERR_CORE_CUT, "cannot look at '%s'", c->name);
	return rc ? err_set(e, rc, "cannot look at '%s' (its notes)", c->name) : 0;
}
