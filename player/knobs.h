/* From what knobs show to what the network takes of them (models/knobs/schema.py has the same formulas). */
#ifndef AMPZOO_KNOBS_H
#define AMPZOO_KNOBS_H

#include "amp.h"

/* 32.1111 ^ turn, for a turn of 0 to 1: an audio taper divides by 15 % in the middle, (0.85 / 0.15)^2 over all.
 * Needs no library: a short series of exp(ln(32.1111) turn / 64), then six squarings. */
static inline double knob_power(double turn) {
    const double z = turn * (3.4692021107574157 / 64);
    double e = 1;
    for (int n = 7; n > 0; n--) e = 1 + e * z / n;
    for (int i = 0; i < 6; i++) e *= e;
    return e;
}

/* The level in [-1, 1] of a faceplate value; values outside its range count as its ends, NaN as the lower one. */
static inline double knob_level(const AmpKnob *knob, double value) {
    double turn = (value - knob->min) / (knob->max - knob->min);
    turn = turn > 0 ? (turn < 1 ? turn : 1) : 0;
    if (knob->kind == KNOB_LOG) turn = (knob_power(turn) - 1) / (knob_power(1) - 1);
    return 2 * turn - 1;
}

/* The position that a value of a switch means. */
static inline int32_t knob_position(const AmpKnob *knob, double value) {
    return value > 0 ? (value < knob->max ? (int32_t)(value + 0.5) : knob->positions - 1) : 0;
}

/* A level per knob, 1 and 0 per position of a switch. Returns how many numbers. */
static inline int32_t knob_levels(const AmpKnob *knobs, int32_t count, const double *values, float *levels) {
    int32_t column = 0;
    for (int32_t i = 0; i < count; i++) {
        if (knobs[i].kind != KNOB_SWITCH) {
            levels[column++] = (float)knob_level(knobs + i, values[i]);
            continue;
        }
        const int32_t at = knob_position(knobs + i, values[i]);
        for (int32_t p = 0; p < knobs[i].positions; p++) levels[column++] = p == at;
    }
    return column;
}

/* TYPE_LEVEL: 1 for the knob that is farthest from its default, and its level; all zeros where none has moved. */
static inline int32_t knob_type_level(const AmpKnob *knobs, int32_t count, const double *values, float *levels) {
    int32_t farthest = -1;
    double most = 0;
    for (int32_t i = 0; i < count; i++) {
        const double moved = knob_level(knobs + i, values[i]) - knob_level(knobs + i, knobs[i].rest);
        const double distance = moved < 0 ? -moved : moved;
        if (distance > most) { most = distance; farthest = i; }
        levels[i] = 0;
    }
    levels[count] = 0;
    if (farthest >= 0) {
        levels[farthest] = 1;
        levels[count] = (float)knob_level(knobs + farthest, values[farthest]);
    }
    return count + 1;
}

/* What the network takes of faceplate values, one per knob (index of the position for a switch). */
static inline int32_t knob_encode(const AmpKnob *knobs, int32_t count, int32_t encoding, const double *values,
                                  float *levels) {
    return encoding == TYPE_LEVEL ? knob_type_level(knobs, count, values, levels)
                                  : knob_levels(knobs, count, values, levels);
}

#endif
