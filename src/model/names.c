/* SPDX-License-Identifier: MIT */
/*
 * Names of kinds, operations, states and verdicts, as reports spell them. Values outside an
 * enumeration give "?": a name never crashes a report. What has a table (kinds.def, ops.def,
 * reasons.def, places.def) is expanded from it; the short rest stands here in the order of model.h.
 */
#include "model/model.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *name_at(const char *const *names, size_t count, unsigned i)
{
	return i < count ? names[i] : "?";
}

const char *object_kind_name(enum object_kind k)
{
	static const char *const names[] = {
#define KIND(constant, name) name,
#include "model/kinds.def"
#undef KIND
	};

	return name_at(names, COUNT(names), k);
}

const char *wait_op_name(enum wait_op op)
{
	static const char *const names[] = {
#define OP(constant, name, words) name,
#include "model/ops.def"
#undef OP
	};

	return name_at(names, COUNT(names), op);
}

const char *wait_op_words(enum wait_op op)
{
	static const char *const names[] = {
#define OP(constant, name, words) words,
#include "model/ops.def"
#undef OP
	};

	return name_at(names, COUNT(names), op);
}

const char *reason_code_name(enum reason_code c)
{
	static const char *const names[] = {
#define REASON(constant, code) code,
#include "model/reasons.def"
#undef REASON
	};

	return name_at(names, COUNT(names), c);
}

const char *place_kind_name(enum place_kind k)
{
	static const char *const names[] = {
#define PLACE(constant, name) name,
#include "model/places.def"
#undef PLACE
	};

	return name_at(names, COUNT(names), k);
}

const char *task_state_name(enum task_state s)
{
	static const char *const names[] = { "running", "blocked", "sleeping", "io", "ended" };

	return name_at(names, COUNT(names), s);
}

const char *task_kind_name(enum task_kind k)
{
	static const char *const names[] = { "thread", "goroutine", "coroutine" };

	return name_at(names, COUNT(names), k);
}

const char *moment_name(enum moment m)
{
	static const char *const names[] = { NULL,     "attach",   "exit", "timeout",
					     "signal", "deadlock", "core", "killed" };

	return name_at(names, COUNT(names), m);
}

const char *verdict_name(enum verdict v)
{
	static const char *const names[] = { "none", "stuck", "alive", "unjoined" };

	return name_at(names, COUNT(names), v);
}
