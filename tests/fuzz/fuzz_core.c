/* SPDX-License-Identifier: MIT
 *
 * Any file as a core: all that is read of one, and a whole look at it, with reports. The files that it names are
 * looked for where there are none.
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "../lib/sample_core.h"
#include "look.h"
#include "model/model.h"
#include "target/core.h"

#define NOWHERE "/proc/self/fdinfo"

void fuzz_make_seeds(void)
{
	static struct sample_core c;
	struct sample_core_shape s = sample_core_usual();

	sample_core_make(&c, &s);
	fuzz_seed(c.bytes, c.n);
	s.text_dumped = false;
	s.tids[0] = SAMPLE_CORE_PID + 9;
	s.shared_file = true;
	sample_core_make(&c, &s);
	fuzz_seed(c.bytes, c.n);
}

static void check_memory(const struct core *c)
{
	const struct maps *maps = core_maps(c);
	struct memory_source memory = core_source(c);
	uint8_t buf[512];

	for (size_t i = 0; i < maps->n; i++) {
		const struct mapping *m = &maps->v[i];

		FUZZ_CHECK(m->start < m->end);
		FUZZ_CHECK(i == 0 || m[-1].end <= m->start);
		FUZZ_CHECK(memory.read(memory.ctx, m->start, buf, sizeof(buf)) <= sizeof(buf));
		FUZZ_CHECK(memory.read(memory.ctx, m->end - 1, buf, sizeof(buf)) <= sizeof(buf));
	}
	memory.read(memory.ctx, UINT64_MAX, buf, sizeof(buf));
}

static void check_pages(const struct core *c)
{
	struct pages pages;
	struct err e;

	FUZZ_CHECK(core_list_pages(c, &pages, &e) == 0);
	for (size_t i = 0; i < pages.n; i++) {
		FUZZ_CHECK(pages.v[i].start < pages.v[i].end);
		FUZZ_CHECK(i == 0 || pages.v[i - 1].end <= pages.v[i].start);
	}
	pages_free(&pages);
}

static void check_stop(const struct core *c)
{
	struct stop *s;
	uint8_t buf[256];
	struct err e;

	FUZZ_CHECK(core_make_stop(c, 720, &s, &e) == 0);
	FUZZ_CHECK(stop_count(s) > 0);
	for (size_t i = 0; i < stop_count(s); i++) {
		FUZZ_CHECK(i == 0 || stop_thread(s, i - 1)->tid < stop_thread(s, i)->tid);
		FUZZ_CHECK(stop_read_vector(s, i, buf, sizeof(buf)) <= sizeof(buf));
	}
	stop_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = fuzz_file(data, size);
	struct model *m = NULL;
	struct core *c;
	struct err e;

	if (fd < 0)
		return 0;
	if (core_open_fd(fd, "core", NULL, NOWHERE, &c, &e) == 0) {
		check_memory(c);
		check_pages(c);
		check_stop(c);
		core_close(c);
	} else {
		close(fd);
	}
	if (look_at_core(fuzz_path(data, size), NULL, NOWHERE, &m, &e) == 0)
		FUZZ_CHECK(m->moment == MOMENT_CORE && m->task_count > 0);
	model_free(m);
	return 0;
}
