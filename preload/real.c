/* SPDX-License-Identifier: MIT
 *
 * Finds the functions behind the shim. Other libraries' constructors run, and lock, before the
 * shim's does: until real_resolve() has run each pointer leads to its resolver, which looks up this
 * one name and goes on to what it found.
 *
 * "Behind" is what RTLD_NEXT means: the objects after ours in the loader's list, in its order. The
 * list hangs from the program's own dynamic section; it is walked without the loader's lock, so only
 * before other threads can be there: that is, before and in the constructor.
 */
#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <sys/auxv.h>

#include "image.h"

/* Only where a program hides the list: a glibc before 2.34 has them in a library of its own. */
#pragma weak dlsym
#pragma weak dlvsym
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
__asm__(".symver dlvsym, dlvsym@GLIBC_2.2.5");

enum {
#define FUNCTION(result, name, parameters, arguments, version)	   INDEX_##name,
#define HELPER(result, name, parameters, arguments, version)	   INDEX_##name,
#define OLD_FUNCTION(result, name, parameters, arguments, version) INDEX_##name##_old,
#include "functions.def"
	INDEX_COUNT
};

/* The pointers of struct real are all that is in it, in this order. */
static const struct function {
	const char *name;
	const char *version;
} functions[INDEX_COUNT] = {
#define FUNCTION(result, name, parameters, arguments, version)	   { #name, version },
#define HELPER(result, name, parameters, arguments, version)	   { #name, version },
#define OLD_FUNCTION(result, name, parameters, arguments, version) { #name, version },
#include "functions.def"
};

_Static_assert(sizeof(struct real) == INDEX_COUNT * sizeof(void *), "struct real");

typedef void *__attribute__((may_alias)) pointer;

/* In the place of what is not there: only a program that does not test for it can get here. */
static long missing(void)
{
	errno = ENOSYS;
	return -1;
}

/* The program's dynamic section, found by what the kernel told it. */
static const ElfW(Dyn) * program_dynamic(void)
{
	const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM), i;
	const ElfW(Phdr) *dynamic = NULL;
	uintptr_t bias = 0;

	for (i = 0; headers && i < count; i++) {
		if (headers[i].p_type == PT_PHDR)
			bias = (uintptr_t)headers - headers[i].p_vaddr;
		else if (headers[i].p_type == PT_DYNAMIC)
			dynamic = &headers[i];
	}
	return dynamic ? (const void *)(bias + dynamic->p_vaddr) : NULL;
}

const struct link_map *real_modules(void)
{
	const ElfW(Dyn) *d = program_dynamic();
	const struct r_debug *debug = NULL;

	for (; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_DEBUG)
			debug = (const void *)d->d_un.d_ptr;
	return debug ? debug->r_map : NULL;
}

/* Our own place in the loader's list; NULL where it cannot be had. */
static const struct link_map *own_map(void)
{
	const struct link_map *map = real_modules();

	while (map && map->l_ld != _DYNAMIC)
		map = map->l_next;
	return map;
}

/* RTLD_NEXT goes by the return address: the call must not become a jump, which would take our
 * caller for the one who asks. */
static void *find_by_loader(const struct function *f)
{
	void *found = NULL;

	if (f->version && dlvsym)
		found = dlvsym(RTLD_NEXT, f->name, f->version);
	else if (dlsym)
		found = dlsym(RTLD_NEXT, f->name);
	__asm__ volatile("" : "+r"(found));
	return found;
}

static void *find(const struct link_map *own, const struct function *f)
{
	const struct link_map *map;
	struct image image;
	void *found;

	if (!own)
		return find_by_loader(f);
	for (map = own->l_next; map; map = map->l_next) {
		found = image_read(&image, map->l_addr, map->l_ld)
				? image_find(&image, f->name, f->version)
				: NULL;
		if (found)
			return found;
	}
	return NULL;
}

/* May run in any thread and twice at once: both find the same. */
static void *resolve(const struct link_map *own, size_t index)
{
	void *found = find(own, &functions[index]);

	if (!found)
		found = (void *)missing;
	__atomic_store_n((pointer *)&real + index, found, __ATOMIC_RELAXED);
	return found;
}

static void *resolve_lazily(size_t index)
{
	int saved = errno;
	void *found = resolve(own_map(), index);

	errno = saved;
	return found;
}

#define FUNCTION(result, name, parameters, arguments, version)           \
	static result resolve_##name parameters                          \
	{                                                                \
		result(*next) parameters = resolve_lazily(INDEX_##name); \
                                                                         \
		return next arguments;                                   \
	}
#define HELPER FUNCTION
#define OLD_FUNCTION(result, name, parameters, arguments, version)             \
	static result resolve_##name##_old parameters                          \
	{                                                                      \
		result(*next) parameters = resolve_lazily(INDEX_##name##_old); \
                                                                               \
		return next arguments;                                         \
	}
#include "functions.def"

struct real real = {
#define FUNCTION(result, name, parameters, arguments, version) .name = resolve_##name,
#define HELPER(result, name, parameters, arguments, version)   .name = resolve_##name,
#define OLD_FUNCTION(result, name, parameters, arguments, version) \
	.name##_old = resolve_##name##_old,
#include "functions.def"
};

/* Once is enough, and later the list may change under our eyes. */
void real_resolve(void)
{
	static bool done;
	const struct link_map *own;
	int saved = errno;
	size_t i;

	if (done)
		return;
	done = true;
	own = own_map();

	for (i = 0; i < INDEX_COUNT; i++)
		resolve(own, i);
	errno = saved;
}
