/*
 * What this machine's memory can do of what `npm run bench -- store` asks of it, in C with prefetching, which WebAssembly does not have: rows
 * copied from random places, and keys looked up through a line of an index and a row of a table. Prints million rows a CPU second, the median of
 * some rounds, in pages of the usual size and in huge ones, which the engine does not ask for.
 *
 *   gcc -O3 -march=native store-reference.c -o store-reference
 *   ./store-reference gather ROW_BYTES VALUE_BYTES ROWS
 *   ./store-reference find KEYS
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { ROUNDS = 3, BATCH = 1024, AHEAD = 24, HEAD_BYTES = 24, KEY_ROW_BYTES = 32, LINE = 64 };
static const size_t HUGE_PAGE = 2u << 20;
static const uint32_t LOOKUPS = 4096u * BATCH;

static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static char *take(size_t bytes, int huge) {
  char *from = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (from == MAP_FAILED) exit(1);
  char *at = (char *)(((uintptr_t)from + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
  madvise(at, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  memset(at, 1, bytes);
  return at;
}

static uint32_t *draw(uint32_t below) {
  uint32_t *drawn = malloc((LOOKUPS + AHEAD) * sizeof *drawn);
  if (!drawn) exit(1);
  uint64_t state = 5;
  for (uint32_t i = 0; i < LOOKUPS + AHEAD; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    drawn[i] = (uint32_t)(((state >> 32) * below) >> 32);
  }
  return drawn;
}

static int by_size(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static double gather(size_t row_bytes, size_t value_bytes, uint32_t rows, int huge) {
  char *table = take(row_bytes * rows, huge), *out = malloc(BATCH * value_bytes);
  uint32_t *drawn = draw(rows);
  double rates[ROUNDS];
  for (int round = 0; round < ROUNDS; round++) {
    double began = cpu_seconds();
    for (uint32_t i = 0; i < LOOKUPS; i++) {
      const char *next = table + drawn[i + AHEAD] * row_bytes;
      for (size_t byte = 0; byte < row_bytes; byte += LINE) __builtin_prefetch(next + byte);
      __builtin_prefetch(next + row_bytes - 1);
      memcpy(out + (i % BATCH) * value_bytes, table + drawn[i] * row_bytes + HEAD_BYTES, value_bytes);
    }
    rates[round] = LOOKUPS / (cpu_seconds() - began) / 1e6;
  }
  munmap(table, row_bytes * rows);
  free(out);
  free(drawn);
  qsort(rates, ROUNDS, sizeof *rates, by_size);
  return rates[ROUNDS / 2];
}

static double find(uint32_t keys, int huge) {
  uint32_t lines = keys / 6 + 1;
  char *index = take((size_t)lines * LINE, huge), *table = take((size_t)keys * KEY_ROW_BYTES, huge);
  uint32_t *drawn = draw(lines), *rows = draw(keys);
  for (uint32_t i = 0; i < LOOKUPS; i++) memcpy(index + (size_t)drawn[i] * LINE, rows + i, sizeof *rows);
  double rates[ROUNDS];
  uint64_t seen = 0;
  for (int round = 0; round < ROUNDS; round++) {
    double began = cpu_seconds();
    for (uint32_t i = 0; i < LOOKUPS - AHEAD; i++) {
      __builtin_prefetch(index + (size_t)drawn[i + AHEAD] * LINE);
      uint32_t row;
      memcpy(&row, index + (size_t)drawn[i + AHEAD / 2] * LINE, sizeof row);
      __builtin_prefetch(table + (size_t)row * KEY_ROW_BYTES);
      memcpy(&row, index + (size_t)drawn[i] * LINE, sizeof row);
      seen += *(uint64_t *)(table + (size_t)row * KEY_ROW_BYTES);
    }
    rates[round] = LOOKUPS / (cpu_seconds() - began) / 1e6;
  }
  munmap(index, (size_t)lines * LINE);
  munmap(table, (size_t)keys * KEY_ROW_BYTES);
  free(drawn);
  free(rows);
  qsort(rates, ROUNDS, sizeof *rates, by_size);
  return seen == 0 ? 0 : rates[ROUNDS / 2];
}

int main(int count, char **given) {
  for (int huge = 0; huge < 2; huge++) {
    if (count == 5 && !strcmp(given[1], "gather"))
      printf("%f ", gather(strtoul(given[2], NULL, 10), strtoul(given[3], NULL, 10), strtoul(given[4], NULL, 10), huge));
    else if (count == 3 && !strcmp(given[1], "find"))
      printf("%f ", find(strtoul(given[2], NULL, 10), huge));
    else
      return 2;
  }
  return 0;
}
