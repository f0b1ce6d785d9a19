/* SPDX-License-Identifier: MIT
 *
 * Names of threads; prctl() gives one, too (wrap_syscall.c).
 */
#include "real.h"
#include "record.h"

/* What is longer is refused. */
static bool is_short(const char *name)
{
	size_t n = 0;

	while (n < WIRE_NAME && name[n])
		n++;
	return n < WIRE_NAME;
}

/* Said before: a detached thread may be gone afterwards, and its handle nobody's. */
WRAPPER int pthread_setname_np(pthread_t thread, const char *name)
{
	if (is_short(name))
		record_thread_named(thread, name);
	return real.pthread_setname_np(thread, name);
}
