/* SPDX-License-Identifier: MIT
 *
 * Decoding instructions: lengths, what they do to the stack, and nothing for what is cut short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stack/code.h"

static const struct {
	const char *bytes;
	size_t n;
	enum code_effect effect;
	int reg;
	int64_t value;
	bool call;
} instructions[] = {
	{ "\xc3", 1, CODE_RETURN, 0, 0, false },
	{ "\xf3\xc3", 2, CODE_RETURN, 0, 0, false },
	{ "\xc2\x08\x00", 3, CODE_RETURN, 0, 0, false },
	{ "\x55", 1, CODE_PUSH, 0, 0, false },
	{ "\x41\x54", 2, CODE_PUSH, 0, 0, false },
	{ "\x68\x00\x01\x00\x00", 5, CODE_PUSH, 0, 0, false },
	{ "\xff\x75\x08", 3, CODE_PUSH, 0, 0, false },
	{ "\x5b", 1, CODE_POP, 3, 0, false },
	{ "\x5d", 1, CODE_POP, 6, 0, false },
	{ "\x5e", 1, CODE_POP, 4, 0, false },
	{ "\x41\x5f", 2, CODE_POP, 15, 0, false },
	{ "\x48\x83\xc4\x18", 4, CODE_ADJUST, 7, 24, false },
	{ "\x48\x83\xec\x80", 4, CODE_ADJUST, 7, 128, false },
	{ "\x48\x81\xec\x00\x10\x00\x00", 7, CODE_ADJUST, 7, -4096, false },
	{ "\x48\x8d\x65\xd8", 4, CODE_SET_FROM, 6, -40, false },
	{ "\x48\x8d\x64\x24\x20", 5, CODE_SET_FROM, 7, 32, false },
	{ "\x49\x8d\x62\xf8", 4, CODE_SET_FROM, 10, -8, false },
	{ "\x48\x89\xec", 3, CODE_SET_FROM, 6, 0, false },
	{ "\x48\x8b\x5c\x24\x08", 5, CODE_LOAD, 3, 8, false },
	{ "\x4c\x8b\x64\x24\x10", 5, CODE_LOAD, 12, 16, false },
	{ "\xc9", 1, CODE_LEAVE, 0, 0, false },
	{ "\xeb\xfe", 2, CODE_JUMP, 0, -2, false },
	{ "\xe9\x00\x01\x00\x00", 5, CODE_JUMP, 0, 256, false },
	{ "\x74\x10", 2, CODE_BRANCH, 0, 16, false },
	{ "\x0f\x85\x00\x00\xff\xff", 6, CODE_BRANCH, 0, -65536, false },
	{ "\xff\x25\x00\x20\x00\x00", 6, CODE_FAR_JUMP, 0, 0, false },
	{ "\xff\xe0", 2, CODE_END, 0, 0, false },
	{ "\x0f\x0b", 2, CODE_END, 0, 0, false },
	{ "\xf4", 1, CODE_END, 0, 0, false },
	{ "\xe8\x00\x00\x00\x00", 5, CODE_PLAIN, 0, 0, true },
	{ "\xff\xd0", 2, CODE_PLAIN, 0, 0, true },
	{ "\xff\x15\x00\x20\x00\x00", 6, CODE_PLAIN, 0, 0, true },
	{ "\x41\xff\x54\x24\x08", 5, CODE_PLAIN, 0, 0, true },
	{ "\x0f\x05", 2, CODE_PLAIN, 0, 0, false },
	{ "\xf3\x0f\x1e\xfa", 4, CODE_PLAIN, 0, 0, false },
	{ "\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00", 10, CODE_PLAIN, 0, 0, false },
	{ "\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08", 10, CODE_PLAIN, 0, 0, false },
	{ "\x66\xc7\x44\x24\x08\x01\x00", 7, CODE_PLAIN, 0, 0, false },
	{ "\xf7\x04\x24\x01\x00\x00\x00", 7, CODE_PLAIN, 0, 0, false },
	{ "\xf7\x1c\x24", 3, CODE_PLAIN, 0, 0, false },
	{ "\x66\x0f\x3a\x0f\xc1\x08", 6, CODE_PLAIN, 0, 0, false },
	{ "\xc5\xf8\x77", 3, CODE_PLAIN, 0, 0, false },
	{ "\xc4\xe3\x7d\x39\xc1\x01", 6, CODE_PLAIN, 0, 0, false },
	{ "\xc5\xfd\x70\xc0\x4e", 5, CODE_PLAIN, 0, 0, false },
};

static void test_instructions(void **state)
{
	struct code_instruction i;
	uint8_t bytes[32];

	(void)state;
	for (size_t k = 0; k < sizeof(instructions) / sizeof(instructions[0]); k++) {
		memset(bytes, 0x90, sizeof(bytes));
		memcpy(bytes, instructions[k].bytes, instructions[k].n);
		assert_true(code_decode(bytes, sizeof(bytes), &i));
		assert_int_equal(i.bytes, instructions[k].n);
		assert_int_equal(i.effect, instructions[k].effect);
		assert_int_equal(i.call, instructions[k].call);
		if (i.effect == CODE_JUMP || i.effect == CODE_BRANCH || i.effect == CODE_ADJUST ||
		    i.effect == CODE_SET_FROM || i.effect == CODE_LOAD)
			assert_int_equal(i.value, instructions[k].value);
		if (i.effect == CODE_POP || i.effect == CODE_SET_FROM || i.effect == CODE_LOAD)
			assert_int_equal(i.reg, instructions[k].reg);
		/* cut short it is not decoded */
		assert_false(code_decode(bytes, instructions[k].n - 1, &i));
	}
	assert_false(code_decode((const uint8_t *)"\x06\x06\x06\x06", 4, &i));
	assert_true(code_ends_in_call((const uint8_t *)"\x90\x90\x90\xe8\0\0\0\0", 8));
	assert_true(code_ends_in_call((const uint8_t *)"\x90\x90\x90\x90\x90\x90\xff\xd0", 8));
	assert_false(code_ends_in_call((const uint8_t *)"\x90\x90\x90\x90\x90\x90\x90\x90", 8));
}

/* Any bytes: a length within bounds, or none. */
static void test_random(void **state)
{
	struct code_instruction i;
	uint64_t seed = 1;
	uint8_t bytes[16];

	(void)state;
	for (int round = 0; round < 200000; round++) {
		for (size_t k = 0; k < sizeof(bytes); k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			bytes[k] = (uint8_t)(seed >> 56);
		}
		if (!code_decode(bytes, sizeof(bytes), &i))
			continue;
		assert_in_range(i.bytes, 1, CODE_BYTES_MAX);
		assert_in_range(i.reg, 0, 15);
	}
}

static void test_known_code(void **state)
{
	static const uint8_t glibc[] = "\x48\xc7\xc0\x0f\0\0\0\x0f\x05\x0f\x1f\x80";
	static const uint8_t other[] = "\xb8\x0f\0\0\0\x0f\x05\x90\x90";
	static const uint8_t exits[] = "\x89\xc7\x31\xc0\xb0\x3c\x0f\x05\xf4";

	(void)state;
	assert_true(code_is_signal_return(glibc, CODE_SIGNAL_BYTES));
	assert_false(code_is_signal_return(glibc, CODE_SIGNAL_BYTES - 1));
	assert_false(code_is_signal_return(glibc + 1, CODE_SIGNAL_BYTES));
	assert_true(code_is_signal_return(other, 7));
	assert_false(code_is_signal_return(other, 6));
	assert_true(code_is_thread_exit(exits, sizeof(exits)));
	assert_false(code_is_thread_exit(exits, 7));
	assert_false(code_is_thread_exit(glibc, sizeof(glibc)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_instructions),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_known_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
