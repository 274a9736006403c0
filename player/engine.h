/* The part of the player that is compiled once for every instruction set: it runs operations over a block of samples.
 *
 * Rows are computed in tiles: some rows by some vectors of time that stay in registers. The last tile of a row may
 * reach up to ENGINE_TILE samples past the end of the block; nothing reads those samples.
 */
#ifndef AMPZOO_ENGINE_H
#define AMPZOO_ENGINE_H

#include "amp.h"

enum {
    ENGINE_WIDTH = 16,                   /* float32 numbers in the widest vector */
    ENGINE_TILE = 4 * ENGINE_WIDTH,      /* samples of the widest tile */
};

/* Rows of samples. The current block begins at `position`; the samples before it are the past. */
typedef struct {
    float *data;                         /* the first row */
    int32_t stride;                      /* samples from one row to the next */
    int32_t position;
    int32_t history, past_rows;          /* samples of the past that are kept, and of how many rows */
} Buffer;

/* All that operations need. At sample t a coefficient c is values[c] + sum over m of slopes[m][c] * moving[m][t]. */
typedef struct {
    const float *weights;
    const Buffer *buffers;
    const float *values;                 /* of the coefficients */
    const float *slopes, *moving;        /* of `movers` rows each */
    ptrdiff_t slopes_stride, moving_stride; /* numbers from one row to the next */
    int32_t movers;                      /* 0 where the knobs stand still */
    int32_t samples;                     /* in the block */
} Block;

typedef struct {
    const char *name;                    /* of the instruction set */
    void (*run)(const Block *block, const Operation *begin, const Operation *end);
} Engine;

/* The best engine for this processor, or the one of that name; NULL where the processor has no such instructions. */
const Engine *engine_find(const char *name);

#endif
