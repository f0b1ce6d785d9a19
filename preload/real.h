/* SPDX-License-Identifier: MIT
 *
 * The functions that libstrand.so stands in front of, from one table (functions.def): `real.x` is
 * the next x behind the shim, of the version that its caller meant. A pointer that has not been
 * resolved yet points to a resolver that does it and goes on: real.x(...) may be called at any
 * time, and calling it costs what a pointer costs.
 *
 * libstrand.so calls the C library's thread functions through `real` only: another interposer may
 * stand behind it, and what it exports itself must not be called by itself.
 */
#ifndef STRAND_PRELOAD_REAL_H
#define STRAND_PRELOAD_REAL_H

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <threads.h>
#include <time.h>

struct real {
#define FUNCTION(result, name, parameters, arguments, version)	   result(*name) parameters;
#define HELPER(result, name, parameters, arguments, version)	   result(*name) parameters;
#define OLD_FUNCTION(result, name, parameters, arguments, version) result(*name##_old) parameters;
#include "functions.def"
};

__attribute__((visibility("hidden"))) extern struct real real;

/* Resolve all that has not been, once: in the constructor. */
__attribute__((visibility("hidden"))) void real_resolve(void);

/* The loader's list, the program first; NULL where it cannot be had. Walking it takes no lock: while
 * there is one thread. */
struct link_map;
__attribute__((visibility("hidden"))) const struct link_map *real_modules(void);

/* An exported function: everything else in the shim is hidden. */
#define WRAPPER __attribute__((visibility("default")))

#endif
