/* SPDX-License-Identifier: MIT
 *
 * Demangling: what people call a function, and that no name costs more than a bounded amount.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "stack/demangle.h"

static const struct {
	const char *mangled, *readable;
} names[] = {
	{ "main", "main" },
	{ "", "" },
	{ "_", "_" },
	{ "_Z", "_Z" },
	{ "_ZN6orders5placeEi", "orders::place" },
	{ "_ZN6orders5placeERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
	  "orders::place" },
	{ "_ZN6orders3BoxINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEE3putEv",
	  "orders::Box<std::string>::put" },
	{ "_ZNSt7__cxx114listIiSaIiEE4sortEv", "std::list<int, std::allocator<int> >::sort" },
	{ "_ZN12_GLOBAL__N_16hiddenEv", "(anonymous namespace)::hidden" },
	{ "_ZN6orders4ShopC1Ev", "orders::Shop::Shop" },
	{ "_ZNK6orders4ShopclEv", "orders::Shop::operator()" },
	{ "_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()" },
	{ "_Znwm", "operator new" },
	{ "_ZZ4mainE4lock", "main::lock" },
	{ "_ZN6orders5placeEi.cold", "orders::place" },
	{ "_ZN6orders5placeEi.constprop.0", "orders::place" },
	{ "place.part.0", "place" },
	{ "place.constprop.1.isra.0", "place" },
	{ "place.llvm.1234567", "place" },
	{ ".cold", ".cold" },
	{ "_ZN4shop5place17h0123456789abcdefE", "shop::place" },
	{ "_ZN4core3ops8function6FnOnce9call_once17h0123456789abcdefE",
	  "core::ops::function::FnOnce::call_once" },
	{ "_ZN58_$LT$alloc..string..String$u20$as$u20$core..fmt..Write$GT$9write_str17h"
	  "0123456789abcdefE",
	  "<alloc::string::String as core::fmt::Write>::write_str" },
	{ "_RNvC4shop5place", "shop::place" },
	{ "_RNvMsr_NtCs3ssYzQotkvD_3std4pathNtB5_7PathBuf3newCs15kBYyAo9fc_7mycrate",
	  "<std::path::PathBuf>::new" },
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *s = demangle_name(names[i].mangled);

		assert_non_null(s);
		assert_string_equal(s, names[i].readable);
		free(s);
	}
}

/* f<b<int, int>, b<the one before, twice>, b<the one before, twice> …>: twice as long each time,
 * 33 times. */
static void test_exploding_name(void **state)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char name[1024] = "_Z1fI1bIiiE", *s;
	size_t n = strlen(name);
	clock_t begin = clock();

	(void)state;
	for (int i = 1; i < 34; i++)
		n += (size_t)sprintf(name + n, "S0_IS%c_S%c_E", digits[i], digits[i]);
	sprintf(name + n, "EvT_");
	s = demangle_name(name);
	assert_non_null(s);
	assert_memory_equal(s, "f<b<int, int>, b<b<int, int>, b<int, int> >", 40);
	assert_string_equal(s + strlen(s) - 3, "...");
	free(s);
	assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 5);
}

static void check_bounded(const char *name)
{
	char *s = demangle_name(name);

	assert_non_null(s);
	assert_true(strlen(s) < 8192);
	free(s);
}

static void test_deep_name(void **state)
{
	static const char *const steps[] = { "P", "N", "I", "F", "Z", "X", "L", "T_", "Dp", "R" };
	static char name[200000];

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		for (size_t length = 4; length <= 65536; length *= 2) {
			strcpy(name, "_Z1f");
			for (char *at = name + 4; at < name + length;)
				at = stpcpy(at, steps[i]);
			check_bounded(name);
			memcpy(name, "_RNvC", 5);
			check_bounded(name);
		}
	}
}

/* Long enough to be cut: the end is marked. */
static void test_long_name(void **state)
{
	char name[3000] = "_ZN", *s;
	size_t n = 3;

	(void)state;
	for (int i = 0; i < 120; i++)
		n += (size_t)sprintf(name + n, "12orders_%05d", i);
	sprintf(name + n, "Ev");
	s = demangle_name(name);
	assert_non_null(s);
	assert_true(strlen(s) > 1000 && strlen(s) < 1100);
	assert_string_equal(s + strlen(s) - 3, "...");
	free(s);
}

static void test_damaged_names(void **state)
{
	uint64_t seed = 1;
	char name[256];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		const char *from = names[round % (sizeof(names) / sizeof(names[0]))].mangled;
		size_t n = strlen(from);

		strcpy(name, from);
		for (size_t k = 0; n > 2 && k < 3; k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			name[2 + (seed >> 40) % (n - 2)] = (char)(33 + (seed >> 20) % 94);
		}
		check_bounded(name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	      cmocka_unit_test(test_exploding_name),
		cmocka_unit_test(test_deep_name),     cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_damaged_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
