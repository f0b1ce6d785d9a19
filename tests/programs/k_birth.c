/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * lost: cond-wait
 * load: yes
 * looks: 25
 * looks@first_push: 200
 * ends: quit
 * args: first_push | in_the_library
 * variants: -O2
 * long: -O0
 *
 * What it is: the only pointer to the gate is the argument of a thread that has not entered its start
 * routine yet: a page of its stack that it needs is not there until main gives it (userfaultfd),
 * the one for its very first push, or one that the C library's own first function needs. What a careless prover gets wrong: it leaves out thread descriptors, for they keep
 * every argument that was ever given, but until the start routine has been entered the argument
 * is nowhere else.
 */
#include "keep.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { PAGE = 4096, PAGES = 64 };

static char *space; /* PAGES for a stack */
static int faults = -1;
static uintptr_t beginning; /* of a thread: its stack pointer before its first push */
static pthread_t child;

/* The outermost frame's return address is behind a call by a register, in the C library. */
static bool is_outermost(uintptr_t word)
{
	const unsigned char *code = (const unsigned char *)word;
	Dl_info info;

	return dladdr((void *)word, &info) && strstr(info.dli_fname, "libc.so") &&
	       code[-2] == 0xff && (code[-1] & 0xf8) == 0xd0;
}

static void *note_beginning(void *arg)
{
	uintptr_t *word = __builtin_frame_address(0);

	beginning = 0;
	for (int i = 0; i < 100 && word + i < (uintptr_t *)(space + (size_t)PAGES * PAGE); i++)
		if (is_outermost(word[i]))
			beginning = (uintptr_t)(word + i + 1);
	return arg;
}

static void *give_argument(void *arg)
{
	keep_box = arg;
	return NULL;
}

static pthread_t start_on(char *end, void *(*start)(void *), void *arg)
{
	size_t bytes = (size_t)PAGES * PAGE - PAGE;
	pthread_attr_t attr;
	pthread_t thread;

	PROG_CHECK(pthread_attr_init(&attr) == 0);
	PROG_CHECK(pthread_attr_setstack(&attr, end - bytes, bytes) == 0);
	PROG_CHECK(pthread_create(&thread, &attr, start, arg) == 0);
	return thread;
}

/* Where a stack must end so that it begins so many bytes above the beginning of a page. */
static char *find_end(size_t above)
{
	char *end = space + (size_t)PAGES * PAGE;

	PROG_CHECK(pthread_join(start_on(end, note_beginning, NULL), NULL) == 0);
	if (!beginning || beginning % 64)
		_exit(77);
	end -= (beginning - above) % PAGE;
	PROG_CHECK(pthread_join(start_on(end, note_beginning, NULL), NULL) == 0);
	if (beginning % PAGE != above)
		_exit(77);
	return end;
}

static void guard(char *page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .range = { (uintptr_t)page, PAGE },
					 .mode = UFFDIO_REGISTER_MODE_MISSING };

	faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (faults < 0 || ioctl(faults, UFFDIO_API, &api) != 0)
		_exit(77);
	PROG_CHECK(madvise(page, PAGE, MADV_DONTNEED) == 0);
	PROG_CHECK(ioctl(faults, UFFDIO_REGISTER, &range) == 0);
}

static void wait_for_fault(char *page)
{
	struct pollfd fault = { faults, POLLIN, 0 };
	struct uffd_msg message;

	PROG_CHECK(poll(&fault, 1, 5000) == 1);
	PROG_CHECK(read(faults, &message, sizeof(message)) == sizeof(message));
	PROG_CHECK(message.event == UFFD_EVENT_PAGEFAULT);
	PROG_CHECK((message.arg.pagefault.address & -(uintptr_t)PAGE) == (uintptr_t)page);
}

static char *guarded;

static void keep_begun(size_t above, struct gate *gate)
{
	char *end;

	space = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	PROG_CHECK(space != MAP_FAILED);
	end = find_end(above);
	guarded = (char *)beginning - above - PAGE;
	guard(guarded);
	child = start_on(end, give_argument, gate);
	wait_for_fault(guarded);
}

static void keep_first_push(struct gate *gate)
{
	keep_begun(0, gate);
}

static void keep_frame_above(struct gate *gate)
{
	keep_begun(128, gate);
}

static struct gate *give_at_birth(void)
{
	struct uffdio_zeropage page = { .range = { (uintptr_t)guarded, PAGE } };

	PROG_CHECK(ioctl(faults, UFFDIO_ZEROPAGE, &page) == 0);
	PROG_CHECK(pthread_join(child, NULL) == 0);
	PROG_CHECK(munmap(space, (size_t)PAGES * PAGE) == 0);
	return keep_take();
}

static const struct place places[] = {
	{ "first_push", keep_first_push, give_at_birth, NULL },
	{ "in_the_library", keep_frame_above, give_at_birth, NULL },
};

KEEP_MAIN(places)
