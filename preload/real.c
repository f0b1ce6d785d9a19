/* SPDX-License-Identifier: MIT
 *
 * Finds the functions behind the shim. Other libraries' constructors run, and lock, before the
 * shim's does: until real_resolve() has run each pointer leads to its resolver, which looks up this
 * one name and goes on to what it found.
 *
 * A name that the C library lacks must not be asked for: dlsym() then allocates, and leaves an error
 * for the program's next dlerror(). Hence the table's column `since`. What is looked up is found
 * without allocation in glibc from 2.34 on.
 */
#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <stddef.h>

enum {
#define FUNCTION(result, name, parameters, arguments, version, since) INDEX_##name,
#define HELPER(result, name, parameters, arguments, version, since)   INDEX_##name,
#define OLD_FUNCTION(result, name, parameters, arguments, version)    INDEX_##name##_old,
#include "functions.def"
	INDEX_COUNT
};

/* The pointers of struct real are all that is in it, in this order. */
static const struct function {
	const char *name;
	const char *version;
	unsigned since;
} functions[INDEX_COUNT] = {
#define FUNCTION(result, name, parameters, arguments, version, since) { #name, version, since },
#define HELPER(result, name, parameters, arguments, version, since)   { #name, version, since },
#define OLD_FUNCTION(result, name, parameters, arguments, version)    { #name, version, 0 },
#include "functions.def"
};

_Static_assert(sizeof(struct real) == INDEX_COUNT * sizeof(void *), "struct real");

typedef void *__attribute__((may_alias)) pointer;

/* In the place of what is not there: only a program that tests for nothing can get here. */
static long missing(void)
{
	errno = ENOSYS;
	return -1;
}

/* RTLD_NEXT goes by the return address: neither call may become a jump into the library, which
 * would then take ld.so or the program for the caller. */
static void *find(const struct function *f)
{
	void *found = NULL;

	if (f->version)
		found = dlvsym(RTLD_NEXT, f->name, f->version);
	if (!found)
		found = dlsym(RTLD_NEXT, f->name);
	__asm__ volatile("" : "+r"(found));
	return found;
}

/* May run in any thread and twice at once: both find the same. */
static void *resolve(size_t index)
{
	int saved = errno;
	void *found = find(&functions[index]);

	if (found)
		__atomic_store_n((pointer *)&real + index, found, __ATOMIC_RELAXED);
	errno = saved;
	return found ? found : (void *)missing;
}

#define FUNCTION(result, name, parameters, arguments, version, since) \
	static result resolve_##name parameters                       \
	{                                                             \
		result(*next) parameters = resolve(INDEX_##name);     \
                                                                      \
		return next arguments;                                \
	}
#define HELPER FUNCTION
#define OLD_FUNCTION(result, name, parameters, arguments, version)      \
	static result resolve_##name##_old parameters                   \
	{                                                               \
		result(*next) parameters = resolve(INDEX_##name##_old); \
                                                                        \
		return next arguments;                                  \
	}
#include "functions.def"

struct real real = {
#define FUNCTION(result, name, parameters, arguments, version, since) .name = resolve_##name,
#define HELPER(result, name, parameters, arguments, version, since)   .name = resolve_##name,
#define OLD_FUNCTION(result, name, parameters, arguments, version) \
	.name##_old = resolve_##name##_old,
#include "functions.def"
};

/* The x of glibc 2.x; 0 if it says something else. */
static unsigned libc_release(void)
{
	const char *version = gnu_get_libc_version();
	unsigned release = 0;

	if (version[0] != '2' || version[1] != '.')
		return 0;
	for (version += 2; *version >= '0' && *version <= '9'; version++)
		release = release * 10 + (unsigned)(*version - '0');
	return release;
}

void real_resolve(void)
{
	unsigned release = libc_release();
	size_t i;

	for (i = 0; i < INDEX_COUNT; i++)
		if (functions[i].since <= release)
			resolve(i);
}
