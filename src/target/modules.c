/* SPDX-License-Identifier: MIT
 *
 * The list of modules, made from the memory map.
 *
 * A file becomes a module by an executable mapping: what is only mapped for reading (locales,
 * message catalogues, an ELF file that a tool looks at) is data. Where the mapping belongs in the
 * file's segments gives the bias, and with the bias all other mappings of that copy are known;
 * the same file loaded twice has two biases and is two modules. Zeroed data behind the last
 * file-backed page belongs to the module too.
 *
 * Ranges of modules may enclose each other (a hole between segments is free for others to use),
 * so finding prefers the range that begins last.
 */
#include "target/modules.h"
#include "target/elf_file.h"
#include "target/module_open.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES 4096ull

struct modules {
	struct module *v;
	size_t n, room;
	uint64_t *reach; /* reach[i]: highest `end` of v[0] .. v[i] */
};

struct file_identity {
	uint64_t inode;
	uint32_t dev_major, dev_minor;
};

/* Executable mappings of files that are no modules, so that each is opened once. */
struct rejects {
	struct file_identity *v;
	size_t n, room;
};

static bool is_rejected(const struct rejects *r, const struct mapping *map)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].inode == map->inode && r->v[i].dev_major == map->dev_major &&
		    r->v[i].dev_minor == map->dev_minor)
			return true;
	return false;
}

static int reject(struct rejects *r, const struct mapping *map)
{
	struct file_identity *v = r->v;

	if (r->n == r->room) {
		v = realloc(v, (2 * r->room + 8) * sizeof(*v));
		if (!v)
			return ERR_NOMEM;
		r->v = v;
		r->room = 2 * r->room + 8;
	}
	v[r->n++] = (struct file_identity){ map->inode, map->dev_major, map->dev_minor };
	return 0;
}

/* How many segments of `f` are mapped where they should be with this bias? */
static unsigned count_fitting(const struct elf_file *f, const struct maps *maps,
			      const struct mapping *own, uint64_t bias)
{
	const struct mapping *map;
	const Elf64_Phdr *p;
	unsigned fitting = 0;
	uint64_t page;
	size_t n;

	p = elf_file_segments(f, &n);
	for (size_t i = 0; i < n; i++) {
		page = (p[i].p_vaddr & ~(PAGE_BYTES - 1)) + bias;
		map = p[i].p_type == PT_LOAD ? maps_find(maps, page) : NULL;
		fitting += map && module_same_file(map, own) &&
			   map->offset + (page - map->start) == (p[i].p_offset & ~(PAGE_BYTES - 1));
	}
	return fitting;
}

/* The bias of the copy of `f` of which `map` is an executable mapping. Segments may share a page
 * of the file: that bias is right with which most of them are where they should be. */
static bool find_bias(const struct elf_file *f, const struct maps *maps, const struct mapping *map,
		      uint64_t *bias)
{
	size_t n;
	const Elf64_Phdr *p = elf_file_segments(f, &n);
	uint64_t first, guess;
	unsigned best = 0, fitting;

	for (size_t i = 0; i < n; i++) {
		if (p[i].p_type != PT_LOAD || !(p[i].p_flags & PF_X))
			continue;
		first = p[i].p_offset & ~(PAGE_BYTES - 1);
		if (map->offset < first || map->offset - first >= p[i].p_filesz + PAGE_BYTES)
			continue;
		guess = map->start - map->offset + p[i].p_offset - p[i].p_vaddr;
		fitting = 1 + count_fitting(f, maps, map, guess);
		if (fitting <= best)
			continue;
		best = fitting;
		*bias = guess;
	}
	return best;
}

/* Where a copy of `f` with this bias lies, by its program headers, in whole pages. */
static void find_extent(const struct elf_file *f, uint64_t bias, uint64_t *start, uint64_t *end)
{
	size_t n;
	const Elf64_Phdr *p = elf_file_segments(f, &n);
	uint64_t low = UINT64_MAX, high = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i].p_type != PT_LOAD || p[i].p_memsz > UINT64_MAX - p[i].p_vaddr)
			continue;
		if (p[i].p_vaddr < low)
			low = p[i].p_vaddr;
		if (p[i].p_vaddr + p[i].p_memsz > high)
			high = p[i].p_vaddr + p[i].p_memsz;
	}
	*start = (low & ~(PAGE_BYTES - 1)) + bias;
	*end = ((high + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1)) + bias;
}

/* The mappings of the same file within `low` to `high`, and the zeroed data that follows. */
static void take_range(struct module *m, const struct maps *maps, const struct mapping *own,
		       uint64_t low, uint64_t high)
{
	const struct mapping *map, *last = maps->v + maps->n;

	m->start = own->start;
	m->end = own->end;
	m->offset = own->offset;
	for (map = maps->v; map < last; map++) {
		if (map->start < low || map->start >= high || !module_same_file(map, own))
			continue;
		if (map->start < m->start) {
			m->start = map->start;
			m->offset = map->offset;
		}
		if (map->end > m->end)
			m->end = map->end;
	}
	for (map = own; map < last && map->start < high; map++)
		if (map->start == m->end && !map->inode && !map->shared)
			m->end = map->end < high ? map->end : high;
}

/* A file that could not be opened: its mappings are taken to be of one copy as long as their
 * offsets rise. */
static void take_range_blindly(struct module *m, const struct maps *maps, const struct mapping *own)
{
	const struct mapping *map, *before;

	m->start = own->start;
	m->offset = own->offset;
	for (before = own, map = own; map > maps->v && before->offset;) {
		map--;
		if (!module_same_file(map, own))
			continue;
		if (map->offset > before->offset)
			break;
		before = map;
		m->start = map->start;
		m->offset = map->offset;
	}
	m->end = own->end;
	for (before = own, map = own + 1; map < maps->v + maps->n; map++) {
		if (!module_same_file(map, own))
			continue;
		if (map->offset < before->offset)
			break;
		before = map;
		m->end = map->end;
	}
}

static void module_free(struct module *m)
{
	free(m->name);
	free(m->path);
	free(m->soname);
	elf_file_close(m->file);
}

static int set_names(struct module *m, const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t n = strlen(path), d = sizeof(deleted) - 1;
	const char *slash;

	if (n > d && !strcmp(path + n - d, deleted))
		n -= d;
	m->path = strndup(path, n);
	if (!m->path)
		return ERR_NOMEM;
	slash = strrchr(m->path, '/');
	m->name = strdup(slash ? slash + 1 : m->path);
	return m->name ? 0 : ERR_NOMEM;
}

/* Which part of the address space module `m` takes, what it is called and who made it. */
static int describe_module(struct module *m, const struct maps *maps, const struct mapping *map,
			   struct elf_file *file)
{
	uint64_t low, high;

	m->fd = -1;
	if (set_names(m, map->path))
		return ERR_NOMEM;
	if (!file || !find_bias(file, maps, map, &m->bias)) {
		take_range_blindly(m, maps, map);
		return 0;
	}
	find_extent(file, m->bias, &low, &high);
	take_range(m, maps, map, low, high);
	m->fd = elf_file_fd(file);
	m->file = file;
	m->soname = elf_file_soname(file);
	m->build_id_bytes = elf_file_build_id(file, m->build_id, sizeof(m->build_id));
	return 0;
}

static bool is_covered(const struct modules *m, const struct maps *maps, const struct mapping *map)
{
	const struct mapping *first;

	for (size_t i = m->n; i-- > 0;) {
		if (map->start < m->v[i].start || map->start >= m->v[i].end)
			continue;
		first = maps_find(maps, m->v[i].start);
		if (first && module_same_file(first, map))
			return true;
	}
	return false;
}

static struct module *add_module(struct modules *m)
{
	struct module *v = m->v;

	if (m->n == m->room) {
		v = realloc(v, (2 * m->room + 16) * sizeof(*v));
		if (!v)
			return NULL;
		m->v = v;
		m->room = 2 * m->room + 16;
	}
	memset(&v[m->n], 0, sizeof(*v));
	return &v[m->n++];
}

static bool may_be_module(const struct mapping *map)
{
	return map->exec && ((map->inode && map->path[0] == '/') || !strcmp(map->path, "[vdso]"));
}

/* Make a module of the executable mapping `map` unless it is part of one, or not an ELF file. */
static int consider_mapping(struct modules *m, struct rejects *no,
			    const struct modules_source *from, const struct maps *maps,
			    const struct mapping *map)
{
	struct elf_file *file = NULL;
	struct module *mod;
	int code;

	if (is_covered(m, maps, map) || (map->inode && is_rejected(no, map)))
		return 0;
	code = from->open(from->ctx, maps, map, &file);
	if (code == ERR_BAD_FORMAT)
		return reject(no, map);
	if (code == ERR_NOMEM)
		return code;
	mod = add_module(m);
	if (!mod) {
		elf_file_close(file);
		return ERR_NOMEM;
	}
	code = describe_module(mod, maps, map, file);
	if (file && mod->file != file)
		elf_file_close(file);
	return code;
}

static int compare_start(const void *a, const void *b)
{
	const struct module *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int sort_modules(struct modules *m)
{
	uint64_t reach = 0;

	m->reach = calloc(m->n + 1, sizeof(*m->reach));
	if (!m->reach)
		return ERR_NOMEM;
	if (m->n)
		qsort(m->v, m->n, sizeof(*m->v), compare_start);
	for (size_t i = 0; i < m->n; i++) {
		if (m->v[i].end > reach)
			reach = m->v[i].end;
		m->reach[i] = reach;
	}
	return 0;
}

/* By the entry point that the kernel was given, or else by the file that was executed. */
static void mark_main_program(struct modules *m, const struct modules_source *from)
{
	struct module *by_file = NULL;

	for (size_t i = 0; i < m->n; i++) {
		struct module *mod = &m->v[i];

		if (mod->file && from->entry &&
		    mod->bias + elf_file_header(mod->file)->e_entry == from->entry) {
			mod->main_program = true;
			return;
		}
		if (!by_file && from->is_executed(from->ctx, mod))
			by_file = mod;
	}
	if (by_file)
		by_file->main_program = true;
}

int modules_open_from(const struct modules_source *from, const struct maps *maps,
		      struct modules **out)
{
	struct rejects no = { 0 };
	struct modules *m = calloc(1, sizeof(*m));
	int code = m ? 0 : ERR_NOMEM;

	for (size_t i = 0; i < maps->n && !code; i++)
		if (may_be_module(&maps->v[i]))
			code = consider_mapping(m, &no, from, maps, &maps->v[i]);
	free(no.v);
	if (!code)
		code = sort_modules(m);
	if (code) {
		modules_close(m);
		return code;
	}
	mark_main_program(m, from);
	*out = m;
	return 0;
}

static int open_of_process(void *ctx, const struct maps *maps, const struct mapping *map,
			   struct elf_file **out)
{
	return module_open_file(ctx, maps, map, out);
}

static bool is_executed_file(void *ctx, const struct module *m)
{
	return module_is_executable_file(ctx, m);
}

int modules_open(pid_t pid, const struct maps *maps, struct modules **out, struct err *e)
{
	struct module_opener opener;
	struct modules_source from = { open_of_process, is_executed_file, &opener, 0 };
	int code;

	module_opener_init(&opener, pid);
	from.entry = opener.entry;
	code = modules_open_from(&from, maps, out);
	return code ? err_set(e, code, "cannot list the modules of process %d", (int)pid) : 0;
}

static int open_regular(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || (!fstat(fd, &st) && S_ISREG(st.st_mode)))
		return fd;
	close(fd);
	return -1;
}

/* Make a module of a file that is said to have been loaded, if it is one. */
static int consider_file(struct modules *m, const struct modules_file *from)
{
	struct elf_file *file = NULL;
	struct module *mod;
	int fd = open_regular(from->path), code;

	if (fd < 0)
		return 0;
	code = elf_file_open(fd, &file);
	if (code) {
		close(fd);
		return code == ERR_NOMEM ? code : 0;
	}
	mod = add_module(m);
	if (!mod) {
		elf_file_close(file);
		return ERR_NOMEM;
	}
	mod->fd = elf_file_fd(file);
	mod->file = file;
	mod->bias = from->bias;
	find_extent(file, mod->bias, &mod->start, &mod->end);
	if (mod->end < mod->start) /* no program header fits this bias */
		mod->start = mod->end = 0;
	mod->soname = elf_file_soname(file);
	mod->build_id_bytes = elf_file_build_id(file, mod->build_id, sizeof(mod->build_id));
	mod->main_program = m->n == 1;
	return set_names(mod, from->path);
}

int modules_open_files(const struct modules_file *v, size_t n, struct modules **out, struct err *e)
{
	struct modules *m = calloc(1, sizeof(*m));
	int code = m ? 0 : ERR_NOMEM;

	for (size_t i = 0; i < n && !code; i++)
		code = consider_file(m, &v[i]);
	if (!code)
		code = sort_modules(m);
	if (code) {
		modules_close(m);
		return err_set(e, code, "cannot list the modules of a table");
	}
	*out = m;
	return 0;
}

void modules_close(struct modules *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		module_free(&m->v[i]);
	free(m->v);
	free(m->reach);
	free(m);
}

size_t modules_count(const struct modules *m)
{
	return m->n;
}

const struct module *modules_get(const struct modules *m, size_t i)
{
	return &m->v[i];
}

const struct module *modules_find(const struct modules *m, uint64_t address)
{
	size_t low = 0, high = m->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (m->v[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	while (low > 0 && m->reach[low - 1] > address) {
		low--;
		if (address < m->v[low].end)
			return &m->v[low];
	}
	return NULL;
}

size_t modules_read(const struct modules *m, uint64_t address, void *buf, size_t bytes)
{
	const struct module *mod = modules_find(m, address);
	uint64_t offset, room;

	if (!mod || !mod->file || !elf_file_locate(mod->file, address - mod->bias, &offset, &room))
		return 0;
	return elf_file_read(mod->file, offset, buf, bytes < room ? bytes : room);
}

/* The best symbol called `name`: the default version before others. */
static bool find_in_table(const struct elf_symbols *t, const char *name, uint64_t bias,
			  struct module_symbol *out)
{
	bool found = false;

	for (size_t i = 1; i < t->n; i++) {
		const Elf64_Sym *s = &t->v[i];
		bool hidden = t->versions && t->versions[i] & 0x8000;

		if (s->st_shndx == SHN_UNDEF || ELF64_ST_TYPE(s->st_info) == STT_TLS ||
		    (found && hidden) || strcmp(elf_symbols_name(t, i), name))
			continue;
		out->address = s->st_shndx == SHN_ABS ? s->st_value : s->st_value + bias;
		out->bytes = s->st_size;
		found = true;
		if (!hidden)
			break;
	}
	return found;
}

bool module_find_symbol(const struct module *m, const char *name, bool also_static,
			struct module_symbol *out)
{
	if (!m->file)
		return false;
	return find_in_table(elf_file_dynsym(m->file), name, m->bias, out) ||
	       (also_static && find_in_table(elf_file_symtab(m->file), name, m->bias, out));
}

bool module_imports(const struct module *m, const char *name)
{
	const struct elf_symbols *t;

	if (!m->file)
		return false;
	t = elf_file_dynsym(m->file);
	for (size_t i = 1; i < t->n; i++)
		if (t->v[i].st_shndx == SHN_UNDEF && !strcmp(elf_symbols_name(t, i), name))
			return true;
	return false;
}

bool module_has_section(const struct module *m, const char *section)
{
	return m->file && elf_file_find_section(m->file, section);
}
