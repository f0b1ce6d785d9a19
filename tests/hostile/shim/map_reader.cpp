/* SPDX-License-Identifier: MIT
 *
 * A detached thread reads a global std::map while main exits: it must not be given the time to see
 * it destroyed. Bare, the process is gone long before the next reading.
 */
#include "prog.h"
#include <atomic>
#include <map>
#include <string>

enum { WHOLE = 0x600d };

struct value {
	~value()
	{
		state = 0;
	}
	volatile int state = WHOLE;
	std::string text = "a text that lies on the heap, not in the value";
};

static std::map<int, value> numbers;
static std::atomic<int> readings;

static void *read_on(void *arg)
{
	for (;;) {
		for (auto &number : numbers)
			if (number.second.state != WHOLE)
				abort();
		readings++;
		prog_nap_ms(40);
	}
	return arg;
}

int main()
{
	for (int i = 0; i < 100; i++)
		numbers[i];
	pthread_detach(prog_thread(read_on, nullptr));
	while (readings == 0)
		prog_nap_ms(1);
	prog_say("read\n");
	return 0;
}
