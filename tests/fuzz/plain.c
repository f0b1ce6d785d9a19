/* SPDX-License-Identifier: MIT
 *
 * A driver for fuzz targets where there is no libFuzzer: every file of the folders given, then
 * random mutations of them until the time is over. Understands those of libFuzzer's options that
 * tests/fuzz/run uses. An input that makes the target crash, or take more than -timeout seconds,
 * is kept as <artifact_prefix>crash-<seed>-<number>.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INPUTS_MAX 256
#define GROW_MAX   64 /* bytes by which a mutation lengthens an input */
#define STEPS_MAX  8  /* mutations on top of each other */

struct input {
	uint8_t *data;
	size_t size;
};

static struct {
	struct input inputs[INPUTS_MAX];
	size_t n, longest;
	uint64_t random;
	unsigned seed, seconds, timeout;
	unsigned long number; /* of the run */
	const char *prefix;
	const uint8_t *now; /* what the target has */
	size_t now_size;
} plain = { .seed = 1, .seconds = 10, .timeout = 10, .prefix = "" };

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* The input under way is kept; also from within a signal handler. */
static void keep_input(void)
{
	char path[4096];
	size_t done = 0;
	ssize_t n = 1;
	int fd;

	snprintf(path, sizeof(path), "%scrash-%u-%lu", plain.prefix, plain.seed, plain.number);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	while (fd >= 0 && n > 0 && done < plain.now_size) {
		n = write(fd, plain.now + done, plain.now_size - done);
		done += n > 0 ? (size_t)n : 0;
	}
	fprintf(stderr, "run %lu: the input is in %s\n", plain.number, path);
}

static void on_signal(int number)
{
	keep_input();
	fprintf(stderr, number == SIGALRM ? "it takes too long\n" : "signal %d\n", number);
	_exit(1);
}

static uint64_t next_random(void)
{
	plain.random ^= plain.random << 13;
	plain.random ^= plain.random >> 7;
	plain.random ^= plain.random << 17;
	return plain.random;
}

static size_t below(size_t n)
{
	return n ? next_random() % n : 0;
}

static void run_one(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1); /* so that a byte too far is seen */

	if (!exact)
		exit(2);
	memcpy(exact, data, size);
	plain.now = exact;
	plain.now_size = size;
	plain.number++;
	alarm(plain.timeout);
	LLVMFuzzerTestOneInput(exact, size);
	alarm(0);
	free(exact);
}

/* Numbers at which code turns. */
static uint64_t odd_number(void)
{
	static const uint64_t numbers[] = { 0,	    1,	     0x7f,	 0x80,	     0xff,
					    0x7fff, 0xffff,  0x7fffffff, 0x80000000, 0xffffffff,
					    4096,   1 << 20, INT64_MAX,	 UINT64_MAX };

	if (below(4) == 0)
		return next_random();
	return numbers[below(sizeof(numbers) / sizeof(numbers[0]))] + below(3) - 1;
}

static void write_number(uint8_t *data, size_t size)
{
	size_t bytes = (size_t)1 << below(4);
	uint64_t value = odd_number();

	if (bytes <= size)
		memcpy(data + below(size - bytes + 1), &value, bytes);
}

/* A piece of this or another input comes over, or into, what is there. */
static size_t copy_piece(uint8_t *data, size_t size, size_t room)
{
	const struct input *other = &plain.inputs[below(plain.n)];
	size_t from = below(other->size), n = below(GROW_MAX) + 1, to = below(size + 1);

	if (n > other->size - from)
		n = other->size - from;
	if (next_random() & 1) { /* into */
		if (size + n > room)
			return size;
		memmove(data + to + n, data + to, size - to);
		memcpy(data + to, other->data + from, n);
		return size + n;
	}
	if (n > size - to)
		n = size - to;
	memcpy(data + to, other->data + from, n);
	return size;
}

static size_t mutate(uint8_t *data, size_t size, size_t room)
{
	size_t at, n;

	switch (below(7)) {
	case 0:
		if (size)
			data[below(size)] ^= (uint8_t)(1u << below(8));
		return size;
	case 1:
		if (size)
			data[below(size)] = (uint8_t)next_random();
		return size;
	case 2: /* shorter */
		return below(8) ? size : below(size + 1);
	case 3: /* a piece less */
		at = below(size);
		n = below(GROW_MAX < size - at ? GROW_MAX : size - at);
		memmove(data + at, data + at + n, size - at - n);
		return size - n;
	case 4:
		return copy_piece(data, size, room);
	default:
		write_number(data, size);
		return size;
	}
}

static void run_mutation(uint8_t *data, size_t room)
{
	const struct input *from = &plain.inputs[below(plain.n)];
	size_t size = from->size;

	memcpy(data, from->data, size);
	for (size_t steps = below(STEPS_MAX) + 1; steps > 0; steps--)
		size = mutate(data, size, room);
	run_one(data, size);
}

static void add_file(const char *folder, const char *name)
{
	char path[4096];
	struct input *in = &plain.inputs[plain.n];
	FILE *file;
	long size;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = plain.n < INPUTS_MAX ? fopen(path, "rb") : NULL;
	if (!file)
		return;
	if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0) {
		rewind(file);
		in->data = malloc((size_t)size + 1);
		in->size = in->data ? fread(in->data, 1, (size_t)size, file) : 0;
		if (in->data)
			plain.n++;
		if (in->size > plain.longest)
			plain.longest = in->size;
	}
	fclose(file);
}

static void add_folder(const char *folder)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.')
			add_file(folder, entries[i]->d_name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

static void read_word(const char *word)
{
	if (word[0] != '-')
		add_folder(word);
	else if (!strncmp(word, "-artifact_prefix=", 17))
		plain.prefix = word + 17;
	else if (sscanf(word, "-seed=%u", &plain.seed) != 1 &&
		 sscanf(word, "-max_total_time=%u", &plain.seconds) != 1)
		sscanf(word, "-timeout=%u", &plain.timeout);
}

static void catch_signals(void)
{
	signal(SIGALRM, on_signal);
	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(keep_input);
		signal(SIGABRT, on_signal);
		return;
	}
	for (const int *s = (const int[]){ SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 0 }; *s; s++)
		signal(*s, on_signal);
}

int main(int argc, char **argv)
{
	time_t begin = time(NULL);
	uint8_t *data;

	LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		read_word(argv[i]);
	plain.random = 0x9e3779b97f4a7c15 * (plain.seed + 1);
	catch_signals();
	for (size_t i = 0; i < plain.n; i++)
		run_one(plain.inputs[i].data, plain.inputs[i].size);
	if (plain.n == 0)
		plain.inputs[plain.n++].data = calloc(1, 1);
	data = malloc(plain.longest + STEPS_MAX * GROW_MAX);
	if (!data)
		return 2;
	while (time(NULL) - begin < (time_t)plain.seconds)
		for (int i = 0; i < 32; i++)
			run_mutation(data, plain.longest + STEPS_MAX * GROW_MAX);
	printf("Done %lu runs in %ld second(s)\n", plain.number, (long)(time(NULL) - begin));
	free(data);
	for (size_t i = 0; i < plain.n; i++)
		free(plain.inputs[i].data);
	return 0;
}
