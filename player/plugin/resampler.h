/* From the host's sample rate to the player's and back, where one is no multiple of the other.
 *
 * Each way is a polyphase filter: a sinc under a Kaiser window (Crochiere, Rabiner: Multirate Digital Signal
 * Processing, 1983), flat to 0.4535 of the lower rate (20 kHz at 44.1 kHz) and 100 dB down from 0.5465 of it. Its delay
 * is the same at all frequencies, and both ways together delay by a whole number of the host's samples.
 */
#ifndef AMPZOO_RESAMPLER_H
#define AMPZOO_RESAMPLER_H

#include <stddef.h>
#include <stdint.h>

enum {
    RESAMPLER_MOST = 1024,               /* terms of the ratio of the rates */
    RESAMPLER_BLOCK = 256,               /* samples of the host at a time, at most */
};

/* The player's rate divided by the host's, as a fraction. */
typedef struct { int32_t up, down; } Ratio;

/* The fraction that is nearest to a ratio, with terms up to RESAMPLER_MOST. */
Ratio ratio_near(double ratio);

typedef struct {
    int32_t up, down;                    /* rate of the output / rate of the input */
    int32_t taps, phase, next, end;      /* of one phase; of the next output; where its first input is; inputs here */
    int32_t capacity, zeros, first_phase;
    float *phases, *line;                /* (up, taps), what malloc gave; inputs that are still needed, after them */
} Polyphase;

typedef struct {
    Ratio ratio;
    int32_t latency;                     /* of both ways, in samples of the host */
    int32_t inner;                       /* most samples of the player for a block of the host */
    Polyphase in, out;
} Resampler;

/* Samples of the host by which both ways delay. */
int32_t resampler_latency(Ratio ratio);

/* Make one in memory that is all zeros; returns whether there was memory. */
int resampler_init(Resampler *r, Ratio ratio);
void resampler_free(Resampler *r);

/* Forget the past, as if the player had always been giving `silence`. */
void resampler_reset(Resampler *r, float silence);

/* Take samples of the host; returns how many of the player's there are for them, at most `inner`. */
int32_t resampler_enter(Resampler *r, const float *x, int32_t samples, float *inner);

/* Take what the player made of those, and give `samples` of the host. */
void resampler_leave(Resampler *r, const float *inner, int32_t count, float *y, int32_t samples);

#endif
