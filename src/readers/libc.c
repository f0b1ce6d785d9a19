/* SPDX-License-Identifier: MIT
 *
 * Recognising the C library, and what depends on its release.
 *
 * glibc is believed only when it says so three times: its name (or, in a static program, its
 * functions in .symtab), its release (__nptl_version, or the banner), and _thread_db_pthread_tid, the offset it
 * publishes for debuggers. Functions are known by their exported address ranges, so debug
 * symbols change nothing. Before 2.34 the thread functions are in libpthread.so.0.
 */
#include "readers/libc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The releases whose lock layouts were read: glibc 2.31 to 2.41. */
#define GLIBC_MINOR_FIRST 31
#define GLIBC_MINOR_LAST  41

/* First release in which struct __pthread_cond_s lost __g_refs, so that __g_signals moved from
 * 40 to 32: sysdeps/nptl/bits/thread-shared-types.h. */
#define GLIBC_MINOR_COND_WITHOUT_REFS 41
/* First release whose pthread_cond_wait() sleeps in FUTEX_WAIT_BITSET, as timed waits do. */
#define GLIBC_MINOR_COND_BITSET	      33
#define COND_SIGNALS_OFFSET	      40
#define COND_SIGNALS_OFFSET_NO_REFS   32

#define BANNER_MARK  "GNU C Library ("
#define BANNER_CHUNK 65536

struct libc_range {
	uint64_t start, end;
	enum libc_function function;
};

static const struct {
	const char *name;
	enum libc_function function;
} libc_functions[] = {
#define FUNCTION(name, class) { name, LIBC_FUNCTION_##class },
#include "readers/libc_functions.def"
#undef FUNCTION
};

#define LIBC_FUNCTION_COUNT (sizeof(libc_functions) / sizeof(libc_functions[0]))

struct libc {
	enum libc_kind kind;
	int minor;
	bool is_static;
	const struct module *libc, *libpthread; /* libpthread: NULL since 2.34 */
	const struct module *threads;		/* one of the two */
	uint64_t tid_offset;
	struct libc_range ranges[2 * LIBC_FUNCTION_COUNT]; /* ascending by start */
	size_t range_count;
};

static int libc_range_compare(const void *a, const void *b)
{
	uint64_t x = ((const struct libc_range *)a)->start;
	uint64_t y = ((const struct libc_range *)b)->start;

	return (x > y) - (x < y);
}

/* A static program has all symbols, if any; libpthread.so.0 keeps its own for debuggers, which need
 * more of it than it exports. */
static bool libc_has_symtab(const struct libc *l, const struct module *m)
{
	return l->is_static || m == l->libpthread;
}

static void libc_add_functions(struct libc *l, const struct module *m)
{
	for (size_t i = 0; i < LIBC_FUNCTION_COUNT; i++) {
		struct module_symbol sym;
		struct libc_range *r = &l->ranges[l->range_count];

		if (!module_find_symbol(m, libc_functions[i].name, libc_has_symtab(l, m), &sym))
			continue;
		r->start = sym.address;
		r->end = sym.address + (sym.bytes ? sym.bytes : 1);
		r->function = libc_functions[i].function;
		l->range_count++;
	}
}

/* "… release version 2.36" or "… (Debian GLIBC 2.36-9) stable release version 2.36." */
static int libc_parse_banner(const char *text)
{
	const char *p = strstr(text, "release version 2.");

	return p ? atoi(p + strlen("release version 2.")) : 0;
}

/* __nptl_version, "2.36": exported for libthread_db since 2.34, and in static programs. */
static int libc_read_version(const struct libc *l, const struct modules *mods,
			     const struct module *m)
{
	struct module_symbol sym;
	char text[8] = "";

	if (!module_find_symbol(m, "__nptl_version", l->is_static, &sym) ||
	    modules_read(mods, sym.address, text, sizeof(text) - 1) < 4)
		return 0;
	return strncmp(text, "2.", 2) ? 0 : atoi(text + 2);
}

/* The banner that the library prints when it is run, for releases without __nptl_version. */
static int libc_find_banner(const struct modules *mods, const struct module *m)
{
	enum { OVERLAP = 256 };
	char *buf = malloc(BANNER_CHUNK + 1);
	int minor = 0;

	for (uint64_t at = m->start; buf && !minor && at < m->end; at += BANNER_CHUNK - OVERLAP) {
		size_t want = m->end - at < BANNER_CHUNK ? (size_t)(m->end - at) : BANNER_CHUNK;
		size_t got = modules_read(mods, at, buf, want);
		const char *mark;

		buf[got] = '\0';
		mark = memmem(buf, got, BANNER_MARK, strlen(BANNER_MARK));
		if (mark)
			minor = libc_parse_banner(mark);
	}
	free(buf);
	return minor;
}

/* _thread_db_pthread_tid: { size in bits, number of elements, offset in bytes }, nptl_db/db_info.c
 * and nptl_db/structs.def. */
static uint64_t libc_read_tid_offset(const struct libc *l, const struct modules *mods,
				     const struct module *m)
{
	struct module_symbol sym;
	uint32_t field[3];

	if (!module_find_symbol(m, "_thread_db_pthread_tid", libc_has_symtab(l, m), &sym) ||
	    modules_read(mods, sym.address, field, sizeof(field)) != sizeof(field))
		return 0;
	if (field[0] != 32 || field[2] < 16 || field[2] > 65536 || field[2] % 4)
		return 0;
	return field[2];
}

static bool libc_is_named(const struct module *m, const char *soname)
{
	return m->soname ? !strcmp(m->soname, soname) : !strcmp(m->name, soname);
}

static bool libc_is_musl(const struct module *m)
{
	return !strncmp(m->name, "ld-musl-", 8) || !strncmp(m->name, "libc.musl-", 10) ||
	       (m->soname && !strcmp(m->soname, "libc.so"));
}

static void libc_find_modules(struct libc *l, const struct modules *mods)
{
	for (size_t i = 0; i < modules_count(mods); i++) {
		const struct module *m = modules_get(mods, i);
		struct module_symbol sym;

		if (libc_is_named(m, "libc.so.6"))
			l->libc = m;
		else if (libc_is_named(m, "libpthread.so.0"))
			l->libpthread = m;
		else if (libc_is_musl(m))
			l->kind = LIBC_MUSL;
		else if (m->main_program && !l->libc &&
			 module_find_symbol(m, "__lll_lock_wait_private", true, &sym) &&
			 module_find_symbol(m, "pthread_mutex_lock", true, &sym)) {
			l->libc = m;
			l->is_static = true;
		}
	}
	if (l->libpthread && libc_is_musl(l->libpthread))
		l->libpthread = NULL;
}

int libc_identify(const struct modules *mods, struct libc **out, struct err *e)
{
	struct libc *l = calloc(1, sizeof(*l));

	*out = l;
	if (!l)
		return err_set(e, ERR_NOMEM, "cannot recognise the C library");
	libc_find_modules(l, mods);
	if (!l->libc || l->kind == LIBC_MUSL)
		return 0;
	l->minor = libc_read_version(l, mods, l->libc);
	if (!l->minor)
		l->minor = libc_find_banner(mods, l->libc);
	l->kind = l->minor >= GLIBC_MINOR_FIRST && l->minor <= GLIBC_MINOR_LAST
			  ? LIBC_GLIBC
			  : LIBC_GLIBC_UNKNOWN;
	l->threads = l->libc;
	if (l->minor < 34 && l->libpthread)
		l->threads = l->libpthread;
	l->tid_offset = libc_read_tid_offset(l, mods, l->threads);
	if (!l->tid_offset)
		l->kind = LIBC_GLIBC_UNKNOWN;
	libc_add_functions(l, l->libc);
	if (l->threads != l->libc)
		libc_add_functions(l, l->threads);
	qsort(l->ranges, l->range_count, sizeof(l->ranges[0]), libc_range_compare);
	return 0;
}

void libc_free(struct libc *l)
{
	free(l);
}

void libc_distrust(struct libc *l)
{
	l->kind = LIBC_GLIBC_UNKNOWN;
}

enum libc_kind libc_kind(const struct libc *l)
{
	return l->kind;
}

int libc_minor(const struct libc *l)
{
	return l->minor;
}

static bool libc_module_has(const struct module *m, uint64_t pc)
{
	return m && pc >= m->start && pc < m->end;
}

bool libc_has_code(const struct libc *l, uint64_t pc)
{
	if (l->is_static)
		return libc_function_at(l, pc) != LIBC_FUNCTION_NONE;
	return libc_module_has(l->libc, pc) || libc_module_has(l->libpthread, pc);
}

bool libc_is_static(const struct libc *l)
{
	return l->is_static;
}

enum libc_function libc_function_at(const struct libc *l, uint64_t pc)
{
	size_t low = 0, high = l->range_count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (l->ranges[mid].start <= pc)
			low = mid + 1;
		else
			high = mid;
	}
	/* Aliases begin at the same address; the longest covers the others. */
	for (size_t i = low; i-- > 0 && low - i <= 4;)
		if (pc < l->ranges[i].end)
			return l->ranges[i].function;
	return LIBC_FUNCTION_NONE;
}

bool libc_function_is_leaf(const struct libc *l, uint64_t pc)
{
	switch (libc_function_at(l, pc)) {
	case LIBC_FUNCTION_NONE:
	case LIBC_FUNCTION_INTERNAL:
	case LIBC_FUNCTION_LIBC_LOCK:
	case LIBC_FUNCTION_ONCE:
		return false;
	default:
		return true;
	}
}

uint64_t libc_tid_offset(const struct libc *l)
{
	return l->tid_offset;
}

void libc_get_modules(const struct libc *l, const struct module **libc,
		      const struct module **threads)
{
	*libc = l->libc;
	*threads = l->threads;
}

bool libc_cond_waits_plainly(const struct libc *l)
{
	return l->minor < GLIBC_MINOR_COND_BITSET;
}

uint64_t libc_cond_of_futex(const struct libc *l, uint64_t word)
{
	uint64_t offset = l->minor >= GLIBC_MINOR_COND_WITHOUT_REFS ? COND_SIGNALS_OFFSET_NO_REFS
								    : COND_SIGNALS_OFFSET;

	if (l->kind != LIBC_GLIBC)
		return 0;
	/* __g_signals has two words; the struct is aligned to 8 bytes. */
	return (word & ~7ULL) - offset;
}
