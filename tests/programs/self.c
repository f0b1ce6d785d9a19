/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock self 1
 * check: deadlock
 * object: config_lock
 * frame: reload_config
 * variants: -O0 -O2 pidns
 *
 * What it is: the only thread locks a normal mutex that it holds already.
 */
#include "prog.h"

static pthread_mutex_t config_lock = PTHREAD_MUTEX_INITIALIZER;

static __attribute__((noipa)) int read_config(void)
{
	pthread_mutex_lock(&config_lock);
	pthread_mutex_unlock(&config_lock);
	return 0;
}

static __attribute__((noipa)) int reload_config(void)
{
	int rc;

	pthread_mutex_lock(&config_lock);
	rc = read_config();
	pthread_mutex_unlock(&config_lock);
	return rc;
}

int main(void)
{
	prog_ready();
	return reload_config();
}
