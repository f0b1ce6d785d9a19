/* SPDX-License-Identifier: MIT
 *
 * The file of a table: made in one piece, mapped, closed. It grows by a piece at births, while there
 * is still room, by way of its path (no descriptor is kept), and never again once it cannot.
 *
 * Space is allocated before it is mapped: a full file system is an error here, not a SIGBUS in the
 * program; and a file beyond RLIMIT_FSIZE is not asked for, which would be a SIGXFSZ.
 */
#include "table.h"

#include <errno.h>

#include "clock.h"
#include "shim.h"
#include "sys.h"
#include "table_private.h"

#define PAGE		     4096u
#define PAGES(bytes)	     (((bytes) + PAGE - 1) / PAGE * PAGE)
#define HEADER_BYTES	     PAGES(sizeof(struct wire_table))
#define TASKS_BYTES(count)   PAGES((count) * sizeof(struct wire_task))
#define FIRST_TASKS_OFFSET   HEADER_BYTES
#define FIRST_STACKS_OFFSET  (FIRST_TASKS_OFFSET + TASKS_BYTES(WIRE_TASKS_FIRST))
#define FIRST_MODULES_OFFSET (FIRST_STACKS_OFFSET + WIRE_STACKS_FIRST)
#define FIRST_BYTES	     (FIRST_MODULES_OFFSET + WIRE_MODULES_BYTES)
#define BIRTHS_BETWEEN_TRIES 256
#define IMAGES_MAX	     100000u

struct segments table_tasks;
struct segments table_stacks;

static struct {
	char path[640];
	uint64_t device, inode;
	uint64_t end; /* of the file */
	struct wire_table *header;
	uint32_t growing;
	uint32_t births_until_try; /* after a failure */
} file;

void *table_modules(void)
{
	return (uint8_t *)file.header + FIRST_MODULES_OFFSET;
}

/* -- who the process is --------------------------------------------------------------------------*/

/* Field 22 of /proc/self/stat: behind the name, which may contain anything, parentheses too. */
static uint64_t parse_start_ticks(const char *text, long length)
{
	uint64_t value = 0;
	unsigned field = 2;
	long i = length;

	while (i > 0 && text[i - 1] != ')')
		i--;
	for (; i < length && field < 22; i++)
		if (text[i] == ' ')
			field++;
	for (; i < length && text[i] >= '0' && text[i] <= '9'; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	return value;
}

static int read_start_ticks(uint64_t *ticks)
{
	char text[1024];
	long n;
	int fd = sys_open("/proc/self/stat", O_RDONLY, 0);

	if (fd < 0)
		return fd;
	n = sys_read(fd, text, sizeof(text));
	sys_close(fd);
	if (n <= 0)
		return n < 0 ? (int)n : -EIO;
	*ticks = parse_start_ticks(text, n);
	return 0;
}

/* -- making it -----------------------------------------------------------------------------------*/

static int allocate(int fd, uint64_t offset, uint64_t bytes)
{
	struct rlimit limit;
	long result = sys_call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit, 0, 0);

	if (result < 0)
		return (int)result;
	if (limit.rlim_cur != RLIM_INFINITY && offset + bytes > limit.rlim_cur)
		return -EFBIG;
	do
		result = sys_fallocate(fd, offset, bytes);
	while (result == -EINTR);
	return (int)result;
}

static bool set_path(const char *directory, int32_t pid, uint64_t ticks, uint32_t image)
{
	size_t size = sizeof(file.path);
	size_t used = 0;

	text_add(file.path, size, &used, directory);
	text_add(file.path, size, &used, "/");
	text_add_number(file.path, size, &used, (uint64_t)pid);
	text_add(file.path, size, &used, ".");
	text_add_number(file.path, size, &used, ticks);
	text_add(file.path, size, &used, ".");
	text_add_number(file.path, size, &used, image);
	text_add(file.path, size, &used, WIRE_TABLE_SUFFIX);
	return used < size;
}

/* Is the file that is there of an earlier image of this process, and nobody's business any more? */
static bool is_abandoned(void)
{
	struct wire_table head;
	const size_t bytes = offsetof(struct wire_table, tasks_born);
	int fd = sys_open(file.path, O_RDONLY | O_NOFOLLOW, 0);
	long n;

	if (fd < 0)
		return false;
	n = sys_read(fd, &head, bytes);
	sys_close(fd);
	return n == (long)bytes && head.flags & WIRE_TABLE_REPLACED && !head.control_id;
}

/* The first n for which there is no file yet: earlier images of this process have theirs. Nobody
 * but us removes those that nobody supervises. */
static int create(const char *directory, int32_t pid, uint64_t ticks, bool supervised,
		  uint32_t *image)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
	uint32_t n;
	int fd = -EEXIST;

	for (n = 0; n < IMAGES_MAX && fd == -EEXIST; n++) {
		if (!set_path(directory, pid, ticks, n))
			return -ENAMETOOLONG;
		fd = sys_open(file.path, flags, 0600);
		if (fd == -EEXIST && !supervised && is_abandoned()) {
			table_remove();
			fd = sys_open(file.path, flags, 0600);
		}
		*image = n;
	}
	return fd;
}

static int map_first(int fd, struct wire_table **out)
{
	struct stat st;
	int err = allocate(fd, 0, FIRST_BYTES);

	if (!err)
		err = sys_fstat(fd, &st);
	if (err)
		return err;
	*out = sys_map(fd, 0, FIRST_BYTES, &err);
	if (!*out)
		return -err;
	file.device = st.st_dev;
	file.inode = st.st_ino;
	file.end = FIRST_BYTES;
	return 0;
}

static void add_segment(enum wire_segment_kind kind, uint8_t *at, uint64_t offset, uint32_t bytes)
{
	struct wire_table *t = file.header;
	struct wire_segment *s = &t->segments[t->segment_count];
	struct segments *mine = kind == WIRE_SEGMENT_TASKS ? &table_tasks : &table_stacks;

	s->offset = offset;
	s->bytes = bytes;
	s->kind = kind;
	__atomic_store_n(&t->segment_count, t->segment_count + 1, __ATOMIC_RELEASE);
	if (kind == WIRE_SEGMENT_MODULES)
		return;
	mine->list[mine->count] = (struct segment){ .at = at, .bytes = bytes, .offset = offset };
	__atomic_store_n(&mine->count, mine->count + 1, __ATOMIC_RELEASE);
}

static void fill_header(struct wire_table *t, uint32_t flags, uint64_t control_id)
{
	uint8_t *at = (uint8_t *)t;
	struct stat st;
	long n;

	t->version = WIRE_VERSION;
	t->header_bytes = sizeof(*t);
	t->task_bytes = sizeof(struct wire_task);
	t->flags = flags;
	t->control_id = control_id;
	t->birth_ns = clock_now_ns();
	if (sys_stat("/proc/self/ns/pid", &st) == 0)
		t->pid_namespace = st.st_ino;
	n = sys_call(SYS_readlink, (long)"/proc/self/exe", (long)t->exe, sizeof(t->exe) - 1, 0, 0,
		     0);
	t->exe[n > 0 ? n : 0] = '\0';
	add_segment(WIRE_SEGMENT_TASKS, at + FIRST_TASKS_OFFSET, FIRST_TASKS_OFFSET,
		    TASKS_BYTES(WIRE_TASKS_FIRST));
	add_segment(WIRE_SEGMENT_STACKS, at + FIRST_STACKS_OFFSET, FIRST_STACKS_OFFSET,
		    WIRE_STACKS_FIRST);
	add_segment(WIRE_SEGMENT_MODULES, at + FIRST_MODULES_OFFSET, FIRST_MODULES_OFFSET,
		    WIRE_MODULES_BYTES);
}

/* The magic comes last: what has none is not finished. */
static void finish_header(struct wire_table *t)
{
	static const char magic[8] = WIRE_TABLE_MAGIC;
	uint64_t word;

	__builtin_memcpy(&word, magic, sizeof(word));
	__atomic_store_n((uint64_t *)(void *)t->magic, word, __ATOMIC_RELEASE);
}

/* What was inherited over fork is the parent's. Its addresses stay: a signal handler may have forked,
 * and the child return from it into what was writing there. */
static void forget(void)
{
	uint32_t i;

	if (file.header)
		sys_map_over(file.header, FIRST_BYTES);
	for (i = 1; i < table_tasks.count; i++)
		sys_map_over(table_tasks.list[i].at, table_tasks.list[i].bytes);
	for (i = 1; i < table_stacks.count; i++)
		sys_map_over(table_stacks.list[i].at, table_stacks.list[i].bytes);
	table_tasks.count = 0;
	table_stacks.count = 0;
	file.header = NULL;
	file.growing = 0;
	file.births_until_try = 0;
	tasks_reset();
	stacks_reset();
}

int table_make(const char *directory, uint32_t flags, uint64_t control_id, struct wire_table **out)
{
	struct wire_table *t;
	int32_t pid = sys_getpid();
	uint64_t ticks = 0;
	uint32_t image = 0;
	int err, fd;

	forget();
	err = read_start_ticks(&ticks);
	if (err)
		return err;
	fd = create(directory, pid, ticks, control_id != 0, &image);
	if (fd < 0)
		return fd;
	err = map_first(fd, &t);
	sys_close(fd);
	if (err) {
		sys_call(SYS_unlink, (long)file.path, 0, 0, 0, 0, 0);
		return err;
	}
	file.header = t;
	t->pid = pid;
	t->start_ticks = ticks;
	t->image = image;
	fill_header(t, flags, control_id);
	finish_header(t);
	*out = t;
	return 0;
}

const char *table_path(void)
{
	return file.path;
}

void table_remove(void)
{
	sys_call(SYS_unlink, (long)file.path, 0, 0, 0, 0, 0);
}

/* -- growing -------------------------------------------------------------------------------------*/

/* The file that was made here, not another that has its name by now; or an error. */
static int reopen(void)
{
	struct stat st;
	int fd = sys_open(file.path, O_RDWR | O_NOFOLLOW, 0);
	int err;

	if (fd < 0)
		return fd;
	err = sys_fstat(fd, &st);
	if (!err && (st.st_dev != file.device || st.st_ino != file.inode))
		err = -ESTALE;
	if (!err)
		return fd;
	sys_close(fd);
	return err;
}

static bool append(enum wire_segment_kind kind, uint32_t bytes)
{
	uint8_t *at = NULL;
	int fd;

	if (file.header->segment_count == WIRE_SEGMENTS)
		return false;
	fd = reopen();
	if (fd < 0)
		return false;
	if (allocate(fd, file.end, bytes) == 0)
		at = sys_map(fd, file.end, bytes, NULL);
	sys_close(fd);
	if (!at)
		return false;
	add_segment(kind, at, file.end, bytes);
	file.end += bytes;
	return true;
}

/* With every signal blocked: a handler that leaves by longjmp would leave it half done, for ever. */
static bool grow_now(void)
{
	uint64_t mask;
	bool ok = true;

	sys_block_signals(&mask);
	if (tasks_scarce())
		ok = append(WIRE_SEGMENT_TASKS, TASKS_BYTES(WIRE_TASKS_MORE));
	if (stacks_scarce())
		ok = append(WIRE_SEGMENT_STACKS, WIRE_STACKS_MORE) && ok;
	sys_restore_signals(&mask);
	return ok;
}

/* Who finds another at it goes on with what there is. */
void table_grow(void)
{
	if (!tasks_scarce() && !stacks_scarce())
		return;
	if (shim.sandboxed || __atomic_exchange_n(&file.growing, 1, __ATOMIC_ACQUIRE))
		return;
	if (file.births_until_try)
		file.births_until_try--;
	else if (!shim_is_own_process() || !grow_now())
		file.births_until_try = BIRTHS_BETWEEN_TRIES;
	__atomic_store_n(&file.growing, 0, __ATOMIC_RELEASE);
}
