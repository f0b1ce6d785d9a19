/* SPDX-License-Identifier: MIT
 *
 * Libraries with threads that are loaded and unloaded, also with RTLD_DEEPBIND and while others
 * lock; and exceptions through a C++ library under this C program. Arguments: how, the library.
 */
#include "prog.h"
#include <dlfcn.h>
#include <stdatomic.h>

static atomic_bool stop;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void call(void (*function)(void))
{
	function();
}

static void *lock_on(void *arg)
{
	while (!stop) {
		pthread_mutex_lock(&lock);
		pthread_mutex_unlock(&lock);
		prog_nap_ms(0);
	}
	return arg;
}

static void load_often(const char *library, int flags)
{
	for (int i = 0; i < 30; i++) {
		void *handle = dlopen(library, flags);
		int (*work)(void);

		PROG_CHECK(handle);
		work = (int (*)(void))dlsym(handle, "lib_work");
		PROG_CHECK(work && work() == 4 && work() == 8);
		PROG_CHECK(dlclose(handle) == 0);
	}
}

static void *load_in_thread(void *arg)
{
	load_often(arg, RTLD_NOW | RTLD_LOCAL);
	return NULL;
}

static void throw_often(const char *library)
{
	void *handle = dlopen(library, RTLD_LAZY);
	int (*throws)(void (*)(void (*)(void)));

	PROG_CHECK(handle);
	throws = (int (*)(void (*)(void (*)(void))))dlsym(handle, "lib_throw");
	PROG_CHECK(throws);
	for (int i = 0; i < 20; i++)
		PROG_CHECK(throws(call) == 6 + 4 + 100);
}

int main(int argc, char **argv)
{
	pthread_t locker;

	PROG_CHECK(argc == 3);
	locker = prog_thread(lock_on, NULL);
	if (strcmp(argv[1], "load") == 0)
		load_often(argv[2], RTLD_NOW | RTLD_GLOBAL);
	else if (strcmp(argv[1], "lazy") == 0)
		load_often(argv[2], RTLD_LAZY);
	else if (strcmp(argv[1], "deepbind") == 0)
		load_often(argv[2], RTLD_NOW | RTLD_DEEPBIND);
	else if (strcmp(argv[1], "in_thread") == 0)
		pthread_join(prog_thread(load_in_thread, argv[2]), NULL);
	else
		throw_often(argv[2]);
	stop = true;
	pthread_join(locker, NULL);
	prog_end(true);
}
