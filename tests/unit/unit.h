/* SPDX-License-Identifier: MIT */
/*
 * cmocka with the headers that it wants before its own.
 */
#ifndef STRAND_TESTS_UNIT_UNIT_H
#define STRAND_TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
