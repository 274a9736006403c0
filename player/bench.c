/* Times the player without any caller's cost: PROGRAM amp.bin BLOCK SECONDS [ENGINE [glide | exact [cpu]]]
 *
 * Plays noise at the amp's rate in blocks of BLOCK samples and prints, as programs for benchmarks/streaming.py do, the
 * wall seconds of each block and at last `cpu` and the CPU seconds of this thread for all of them. With `glide` all
 * knobs are on the move; with `exact` too, by crossfades between still sounds. With `cpu`
 * the seconds of each block are those of this thread, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exact.h"

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static unsigned char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) return NULL;
    const long length = ftell(file);
    unsigned char *bytes = length > 0 ? malloc((size_t)length) : NULL;
    rewind(file);
    *size = bytes ? fread(bytes, 1, (size_t)length, file) : 0;
    fclose(file);
    return bytes;
}

/* Send every knob to its other end, twelve times a second: it is then always under way. */
static void turn_knobs(Player *player, ExactPlayer *exact, const Amp *amp, long sample, int block) {
    const long period = amp->head.sample_rate / 40;
    if (sample % period >= block) return;
    for (int32_t i = 0; i < amp->head.knobs; i++) {
        AmpKnob knob;
        amp_knob(amp, i, &knob);
        const double value = sample / period % 2 ? knob.max : knob.min;
        if (exact) exact_set_knob(exact, i, value);
        else player_set_knob(player, i, value);
    }
}

int main(int count, char **words) {
    static Amp amp;
    size_t size = 0;
    if (count < 4) return fprintf(stderr, "usage: %s amp.bin BLOCK SECONDS [ENGINE [glide | exact [cpu]]]\n", words[0]), 2;
    unsigned char *bytes = read_file(words[1], &size);
    const int block = atoi(words[2]), moves = count > 5 && strcmp(words[5], "still");
    if (!bytes || block < 1 || amp_read(&amp, bytes, size) != AMP_OK) return 1;
    const char *engine = count > 4 ? words[4] : NULL;
    Player *player = player_init(aligned_alloc(PLAYER_ALIGNMENT, player_size(&amp, 1)), &amp, 1, engine);
    ExactPlayer *exact = NULL;
    if (count > 5 && !strcmp(words[5], "exact"))
        exact = exact_init(aligned_alloc(PLAYER_ALIGNMENT, exact_size(&amp, 1)), &amp, 1, engine);
    const long blocks = (long)(atof(words[3]) * amp.head.sample_rate) / block;
    float *x = malloc(sizeof(float) * (size_t)block), *y = malloc(sizeof(float) * (size_t)block);
    double *walls = malloc(sizeof(double) * (size_t)blocks);
    if (!player || !x || !y || !walls) return 1;
    for (int t = 0; t < block; t++) x[t] = 0.2f * ((float)rand() / (float)RAND_MAX - 0.5f);
    const clockid_t clock = count > 6 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    const double cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (long b = 0; b < blocks; b++) {
        const double begin = seconds(clock);
        if (moves) turn_knobs(player, exact, &amp, b * block, block);
        if (exact) exact_process(exact, x, y, block);
        else player_process(player, x, y, block);
        walls[b] = seconds(clock) - begin;
    }
    const double spent = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
    for (long b = 0; b < blocks; b++) printf("%.9f\n", walls[b]);
    printf("cpu %.9f\n", spent);
    return 0;
}
