/* SPDX-License-Identifier: MIT
 *
 * Names of threads; prctl() gives one, too (wrap_syscall.c).
 */
#include "real.h"
#include "record.h"

WRAPPER int pthread_setname_np(pthread_t thread, const char *name)
{
	int result = real.pthread_setname_np(thread, name);

	if (!result)
		record_thread_named(thread, name);
	return result;
}
