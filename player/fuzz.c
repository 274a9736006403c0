/* Feeds broken files to the reader, and plays those that it lets through.
 *
 * With a fuzzing engine (clang -fsanitize=fuzzer -DFUZZER) only the entry point is used. Without one this is a program
 * of its own:  PROGRAM COUNT SEED FILE...  changes and cuts the files, COUNT times in all, and prints how many of the
 * inputs were played. player/README.md has the command with the sanitizers.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exact.h"

enum { MOST_MEMORY = 1 << 24, MOST_WORK = 1 << 15 };

/* Products of one sample, so that a fuzzer is not held up by a file that is sound but huge. */
static double work(const Amp *amp) {
    double products = 0;
    for (int32_t i = 0; i < amp->head.operations; i++) {
        Operation o;
        amp_operation(amp, i, &o);
        products += o.rows * (o.kind == CONVOLVE ? (double)o.taps * o.rows_per_group + o.extra_rows : 1.0);
    }
    return products;
}

static void play(Player *player, const Amp *amp, unsigned seed) {
    static const int blocks[] = {1, 0, 37, 64, 300};
    static float x[300], y[300], levels[AMP_MAX_COLUMNS * 300];
    for (int t = 0; t < 300; t++) x[t] = (float)((t * 37 + (int)seed) % 200 - 100) / 100;
    for (int b = 0; b < 5; b++) {
        player_set_knob(player, b, b % 2 ? 1e9 : -3.0);
        player_process(player, x, y, blocks[b]);
    }
    for (int32_t i = 0; i < AMP_MAX_COLUMNS * 300; i++) levels[i] = (float)(i % 200 - 100) / 100;
    player_process_levels(player, x, y, 300, levels, 1);
    player_process_levels(player, x, y, 5, levels, 0);
    for (int32_t i = 0; i < amp->head.knobs; i++) player_set_knob(player, i, 0);
    player_reset(player);
}

/* Knobs that jump about, in blocks that end anywhere in a hop. */
static void play_exact(ExactPlayer *player, const Amp *amp) {
    static float x[300], y[300], levels[AMP_MAX_COLUMNS];
    for (int b = 0; b < 12; b++) {
        exact_set_knob(player, b % 3, b % 2 ? 1e9 : -3.0);
        exact_process(player, x, y, b % 4 ? 300 : 7 * b);
        levels[b] = (float)b;
        exact_process_levels(player, x, x, 100, levels);
    }
    for (int32_t i = 0; i < amp->head.knobs; i++) exact_set_knob(player, i, 0);
    exact_reset(player);
}

/* Returns whether the input was played. */
static int feed(const uint8_t *bytes, size_t size) {
    static const char *const engines[] = {"baseline", "avx2", "avx512"};
    static Amp amp;
    if (amp_read(&amp, bytes, size) != AMP_OK) return 0;
    const unsigned pick = bytes[size - 1] ^ bytes[size / 2];
    const int32_t factor = pick % 16 ? 1 : 2;
    const size_t need = player_size(&amp, factor);
    if (!need || need > MOST_MEMORY || work(&amp) > (double)MOST_WORK) return 0;
    void *memory = aligned_alloc(PLAYER_ALIGNMENT, need);
    Player *player = memory ? player_init(memory, &amp, factor, engines[pick % 3]) : NULL;
    if (player) play(player, &amp, pick);
    free(memory);
    const size_t exact = pick % 32 ? 0 : exact_size(&amp, factor);
    if (player && exact && exact < 4 * MOST_MEMORY && (memory = aligned_alloc(PLAYER_ALIGNMENT, exact))) {
        ExactPlayer *moved = exact_init(memory, &amp, factor, engines[pick % 3]);
        if (moved) play_exact(moved, &amp);
        free(memory);
    }
    return player != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    feed(bytes, size);
    return 0;
}

#ifndef FUZZER
static uint64_t state;

static uint32_t draw(uint32_t below) {          /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Dull) >> 32) % below;
}

/* A number that a reader may stumble over. */
static uint32_t odd_number(uint32_t old) {
    static const uint32_t odd[] = {
        0, 1, 2, 3, 4, 6, 7, 8, 16, 63, 64, 65, 255, 1023, 1024, 2047, 2048, 8192, 131071, 131072, 0x7f800000u,
        0x7fc00000u, 0x7fffffffu, 0x80000000u, 0xffffffffu, 0xfffffffeu, 0x3f800000u, 0x40000000u,
    };
    switch (draw(5)) {
    case 0: return odd[draw(sizeof odd / sizeof *odd)];
    case 1: return old + 1 + draw(3);
    case 2: return old - 1 - draw(3);
    case 3: return old ^ (1u << draw(32));
    default: return draw(0xffffffffu);
    }
}

/* Change one to four numbers, most of them before the weights; one input in eight is cut. */
static size_t mutate(uint8_t *bytes, size_t size, size_t body) {
    for (uint32_t changes = 1 + draw(4); changes > 0; changes--) {
        const size_t reach = draw(8) ? body : size, at = 4 * (size_t)draw((uint32_t)(reach / 4));
        uint32_t number;
        memcpy(&number, bytes + at, 4);
        number = odd_number(number);
        memcpy(bytes + at, &number, 4);
    }
    return draw(8) ? size : draw((uint32_t)size);
}

int main(int count, char **words) {
    enum { MOST_FILES = 64, MOST_BYTES = 1 << 16 };
    static uint8_t files[MOST_FILES][MOST_BYTES];
    static size_t sizes[MOST_FILES], bodies[MOST_FILES];
    if (count < 4 || count - 3 > MOST_FILES) return fprintf(stderr, "usage: %s COUNT SEED FILE...\n", words[0]), 2;
    const int inputs = count - 3;
    for (int i = 0; i < inputs; i++) {
        FILE *file = fopen(words[3 + i], "rb");
        if (!file) return 2;
        sizes[i] = fread(files[i], 1, MOST_BYTES, file);
        fclose(file);
        static Amp amp;
        if (amp_read(&amp, files[i], sizes[i]) != AMP_OK) return fprintf(stderr, "%s is broken\n", words[3 + i]), 2;
        bodies[i] = (size_t)(amp.weights - files[i]);
    }
    state = 88172645463325252ull + strtoull(words[2], NULL, 10);
    long played = 0;
    const long total = atol(words[1]);
    for (long n = 0; n < total; n++) {
        const int pick = (int)draw((uint32_t)inputs);
        uint8_t *bytes = malloc(sizes[pick]);   /* of its own size, so that a sanitizer sees its end */
        if (!bytes) return 2;
        memcpy(bytes, files[pick], sizes[pick]);
        const size_t size = mutate(bytes, sizes[pick], bodies[pick]);
        uint8_t *exact = realloc(bytes, size ? size : 1);
        played += size ? feed(exact, size) : 0;
        free(exact);
    }
    printf("%ld inputs, %ld of them played\n", total, played);
    return 0;
}
#endif
