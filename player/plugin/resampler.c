/* Polyphase filters between two sample rates. */
#include "resampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double TRANSITION = 0.093;  /* width between flat and silent, of the lower rate */
static const double STOP_DB = 100;
static const double PI = 3.14159265358979323846;

Ratio ratio_near(double ratio) {         /* convergents of its continued fraction */
    int64_t up = 1, down = 0, last_up = 0, last_down = 1;
    double rest = ratio;
    for (int i = 0; i < 32; i++) {
        const double whole = floor(rest);
        const double next_up = whole * (double)up + (double)last_up;
        const double next_down = whole * (double)down + (double)last_down;
        if (next_up > RESAMPLER_MOST || next_down > RESAMPLER_MOST) break;
        last_up = up;
        last_down = down;
        up = (int64_t)next_up;
        down = (int64_t)next_down;
        if (rest - whole < 1e-9 || fabs((double)up / (double)down / ratio - 1) < 1e-12) break;
        rest = 1 / (rest - whole);
    }
    return (Ratio){(int32_t)up, (int32_t)down};
}

/* Samples of the input on each side of an output; Kaiser's formula for the length of a filter. */
static int32_t half_length(int32_t up, int32_t down) {
    const double lower = up < down ? (double)up / down : 1;
    return (int32_t)ceil((STOP_DB - 7.95) / (14.36 * TRANSITION * lower) / 4) * 2;
}

int32_t resampler_latency(Ratio ratio) {
    const int64_t inner = half_length(ratio.down, ratio.up) + 1;
    return half_length(ratio.up, ratio.down) + (int32_t)((inner * ratio.down + ratio.up - 1) / ratio.up) - 1;
}

static double bessel_i0(double x) {
    double sum = 1, term = 1;
    for (int n = 1; term > 1e-12 * sum; n++) {
        term *= x / (2 * n) * (x / (2 * n));
        sum += term;
    }
    return sum;
}

/* The filter at a distance of so many input samples from its middle, before it is scaled. */
static double filter_at(double distance, int32_t half, double lower) {
    const double beta = 0.1102 * (STOP_DB - 8.7), place = distance / half;
    if (place <= -1 || place >= 1) return 0;
    const double angle = PI * lower * distance, sinc = fabs(angle) < 1e-9 ? 1 : sin(angle) / angle;
    return sinc * bessel_i0(beta * sqrt(1 - place * place)) / bessel_i0(beta);
}

static void design(Polyphase *p) {
    const int32_t half = p->taps / 2;
    const double lower = p->up < p->down ? (double)p->up / p->down : 1;
    for (int32_t phase = 0; phase < p->up; phase++) {
        float *row = p->phases + (size_t)phase * (size_t)p->taps;
        double sum = 0;
        for (int32_t t = 0; t < p->taps; t++) {
            const double weight = filter_at((double)phase / p->up + half - 1 - t, half, lower);
            row[t] = (float)weight;
            sum += weight;
        }
        for (int32_t t = 0; t < p->taps; t++) row[t] = (float)(row[t] / sum);
    }
}

/* Plan a filter whose first output is `delay` of its own samples late. */
static void plan(Polyphase *p, int32_t up, int32_t down, int64_t delay, int32_t most_inputs) {
    const int64_t begin = -delay * down, whole = begin / up - (begin % up != 0);   /* rounded down */
    p->up = up;
    p->down = down;
    p->taps = 2 * half_length(up, down);
    p->zeros = p->taps / 2 - 1 - (int32_t)whole;
    p->first_phase = (int32_t)(begin - whole * up);
    p->capacity = p->zeros + 2 * (p->taps + most_inputs);
}

static size_t numbers(const Polyphase *p) { return (size_t)p->up * (size_t)p->taps + (size_t)p->capacity; }

static int make(Polyphase *p) {
    p->phases = malloc(numbers(p) * sizeof(float));
    if (!p->phases) return 0;
    p->line = p->phases + (size_t)p->up * (size_t)p->taps;
    design(p);
    return 1;
}

int resampler_init(Resampler *r, Ratio ratio) {
    r->ratio = ratio;
    r->latency = resampler_latency(ratio);
    r->inner = (int32_t)((int64_t)RESAMPLER_BLOCK * ratio.up / ratio.down) + 2;
    plan(&r->in, ratio.up, ratio.down, 0, RESAMPLER_BLOCK);
    plan(&r->out, ratio.down, ratio.up, r->latency, r->inner);
    if (!make(&r->in) || !make(&r->out)) return resampler_free(r), 0;
    resampler_reset(r, 0);
    return 1;
}

void resampler_free(Resampler *r) {
    free(r->in.phases);
    free(r->out.phases);
    r->in.phases = r->out.phases = NULL;
}

static void restart(Polyphase *p, float silence) {
    p->next = 0;
    p->phase = p->first_phase;
    p->end = p->zeros;
    for (int32_t i = 0; i < p->zeros; i++) p->line[i] = silence;
}

void resampler_reset(Resampler *r, float silence) {
    restart(&r->in, 0);
    restart(&r->out, silence);
}

static void push(Polyphase *p, const float *x, int32_t samples) {
    if (p->end + samples > p->capacity) {                /* move what is needed to the front */
        const int32_t done = p->next < p->end ? p->next : p->end;
        memmove(p->line, p->line + done, 4 * (size_t)(p->end - done));
        p->next -= done;
        p->end -= done;
    }
    memcpy(p->line + p->end, x, 4 * (size_t)samples);
    p->end += samples;
}

/* The sum of products; four sums under way are one vector. `taps` is a multiple of 4. */
static float dot(const float *x, const float *w, int32_t taps) {
    float sums[4] = {0};
    for (int32_t t = 0; t < taps; t += 4)
        for (int i = 0; i < 4; i++) sums[i] += x[t + i] * w[t + i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static int32_t pull(Polyphase *p, float *y, int32_t most) {
    int32_t count = 0;
    for (; count < most && p->next + p->taps <= p->end; count++) {
        y[count] = dot(p->line + p->next, p->phases + (size_t)p->phase * (size_t)p->taps, p->taps);
        p->phase += p->down;
        p->next += p->phase / p->up;
        p->phase %= p->up;
    }
    return count;
}

int32_t resampler_enter(Resampler *r, const float *x, int32_t samples, float *inner) {
    push(&r->in, x, samples);
    return pull(&r->in, inner, r->inner);
}

void resampler_leave(Resampler *r, const float *inner, int32_t count, float *y, int32_t samples) {
    push(&r->out, inner, count);
    pull(&r->out, y, samples);
}
