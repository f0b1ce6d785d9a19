/* SPDX-License-Identifier: MIT
 *
 * Demangling with a bound. A short mangled name can stand for a readable one of any size, because
 * it may repeat its own parts again and again; so the printer hands its text over in pieces, and
 * once there is enough of it we jump out of it.
 *
 * libiberty's limit on recursion refuses names above 1024 bytes, which templates do reach. For
 * those it is switched off: the depth is then bounded by the length that we accept (measured:
 * under 1 MB of stack).
 */
#include "stack/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MANGLED_BYTES_MAX  4096
#define LIMITED_BYTES_MAX  1024
#define READABLE_BYTES_MAX 1024

struct text {
	char v[READABLE_BYTES_MAX + 4];
	size_t n;
	jmp_buf full;
};

static void take_piece(const char *piece, size_t n, void *arg)
{
	struct text *t = arg;
	size_t room = READABLE_BYTES_MAX - t->n;

	if (n <= room) {
		memcpy(t->v + t->n, piece, n);
		t->n += n;
		return;
	}
	memcpy(t->v + t->n, piece, room);
	memcpy(t->v + READABLE_BYTES_MAX, "...", 3);
	t->n = READABLE_BYTES_MAX + 3;
	longjmp(t->full, 1);
}

/* The printer keeps nothing on the heap while it prints C++; of a Rust name that is too long an
 * identifier's buffer may be lost. */
static bool demangle_into(struct text *t, const char *name)
{
	int options = strlen(name) > LIMITED_BYTES_MAX ? DMGL_NO_RECURSE_LIMIT : DMGL_NO_OPTS;

	t->n = 0;
	if (setjmp(t->full))
		return true;
	if (rust_demangle_callback(name, DMGL_NO_OPTS, take_piece, t))
		return true;
	t->n = 0;
	return cplus_demangle_v3_callback(name, options, take_piece, t);
}

/* Replace every `from` by the shorter `to`. */
static void replace_all(char *s, const char *from, const char *to)
{
	size_t a = strlen(from), b = strlen(to);

	while ((s = strstr(s, from))) {
		memcpy(s, to, b);
		memmove(s + b, s + a, strlen(s + a) + 1);
		s += b;
	}
}

/* Compilers split and copy functions and mark the pieces: " [clone .cold]" in readable names. */
static void cut_clones(char *s)
{
	char *mark = strstr(s, " [clone ");

	if (mark && mark != s)
		*mark = 0;
}

/* The same marks in plain names: "place.part.0", "place.constprop.0.cold". */
static void cut_suffixes(char *s)
{
	static const char *const marks[] = { ".part.",	   ".constprop.", ".isra.",	".cold",
					     ".lto_priv.", ".llvm.",	  ".localalias" };
	char *at, *first = NULL;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		at = strstr(s, marks[i]);
		if (at && at != s && (!first || at < first))
			first = at;
	}
	if (first)
		*first = 0;
}

static bool may_be_mangled(const char *name)
{
	return name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

char *demangle_name(const char *name)
{
	struct text *t;
	char *readable;

	if (may_be_mangled(name) && strlen(name) <= MANGLED_BYTES_MAX) {
		t = malloc(sizeof(*t));
		if (!t)
			return NULL;
		if (demangle_into(t, name)) {
			t->v[t->n] = 0;
			cut_clones(t->v);
			replace_all(t->v,
				    "std::__cxx11::basic_string<char, std::char_traits<char>, "
				    "std::allocator<char> >",
				    "std::string");
			replace_all(t->v, "std::string >", "std::string>");
			replace_all(t->v, "std::__cxx11::", "std::");
			readable = strdup(t->v);
			free(t);
			return readable;
		}
		free(t);
	}
	readable = strndup(name, READABLE_BYTES_MAX);
	if (readable)
		cut_suffixes(readable);
	return readable;
}
