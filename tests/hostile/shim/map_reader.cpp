/* SPDX-License-Identifier: MIT
 *
 * A detached thread reads a global std::map while main exits. Bare, the process is gone soon after
 * its destruction has begun; the thread must not be given the time to read it then, so it looks
 * first whether that is so, and waits for longer than an end takes before it complains.
 */
#include "prog.h"
#include <atomic>
#include <map>
#include <string>

enum { TOO_LONG_MS = 300, PAUSE_MS = 20 };

static std::map<int, std::string> numbers;

/* Constructed after the map, destroyed before it. */
static struct mark {
	~mark() { destroyed = true; }
	std::atomic<bool> destroyed{ false };
} end_of_map;

static std::atomic<int> readings;

static void *read_on(void *arg)
{
	for (;;) {
		if (end_of_map.destroyed) {
			prog_nap_ms(TOO_LONG_MS);
			abort();
		}
		for (auto &number : numbers)
			if (number.second.size() != 40)
				abort();
		readings++;
		prog_nap_ms(PAUSE_MS);
	}
	return arg;
}

int main()
{
	for (int i = 0; i < 4; i++)
		numbers[i] = std::string(40, 'x');
	pthread_detach(prog_thread(read_on, nullptr));
	while (readings == 0)
		prog_nap_ms(1);
	prog_say("read\n");
	return 0;
}
