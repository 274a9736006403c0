/* The knobs of an amp as a host sees them: identifiers, ranges, texts, and what a session stores.
 *
 * A value is a number on the faceplate, or the index of a position of a switch. A turn is the same from 0 to 1.
 * The turn of a knob is that of its shaft, whatever its taper: the taper is in the sound.
 * Numbers are written and read with a point, whatever language the host has chosen.
 * After the knobs of the amp comes one more: whether knobs move by ramps or exactly (exact.h).
 */
#ifndef AMPZOO_PARAMETERS_H
#define AMPZOO_PARAMETERS_H

#include "../amp.h"

enum {
    RAMPS, EXACT, MOVES,                               /* how knobs move, and how many ways there are */
    PARAMETERS_MOST = AMP_MAX_KNOBS + 1,
    STATE_HEAD = 8,                                    /* bytes: "AMPS", version, count, 0, 0 */
    STATE_RECORD = 2 * AMP_TEXT + 8,                   /* bytes: name of the knob, of its position, value */
    STATE_VERSION = 1,
    STATE_MOST = STATE_HEAD + PARAMETERS_MOST * STATE_RECORD,
    TEXT_MOST = 64,                                    /* bytes of a value as text, NUL at the end */
};

typedef struct {
    int32_t count;
    AmpKnob knobs[PARAMETERS_MOST];
    uint32_t ids[PARAMETERS_MOST];                       /* of the names: a new order of knobs changes nothing */
    char positions[AMP_MAX_COLUMNS + MOVES][AMP_TEXT];
    int32_t always_ramps;                              /* whether exact moves cost too much here */
} Parameters;

void parameters_read(Parameters *p, const Amp *amp);

/* The index of the knob with this identifier, -1 where there is none. */
int32_t parameters_find(const Parameters *p, uint32_t id);

/* From a turn to a value and back; what is out of range counts as its end, NaN as the default. */
double parameters_value(const Parameters *p, int32_t index, double turn);
double parameters_turn(const Parameters *p, int32_t index, double value);

/* The value that a host may set: in range, a whole index for a switch. */
double parameters_legal(const Parameters *p, int32_t index, double value);

/* How many steps a turn has, 0 for a knob that stands anywhere. */
int32_t parameters_steps(const Parameters *p, int32_t index);

/* Write a value for a person, with its unit or without; `size` is at least 1. Read one that a person wrote: returns whether it is one. */
void parameters_write(const Parameters *p, int32_t index, double value, int with_unit, char *text, size_t size);
int parameters_parse(const Parameters *p, int32_t index, const char *text, double *value);

/* Store values by the names of knobs and positions; returns how many bytes. */
size_t parameters_save(const Parameters *p, const double *values, unsigned char bytes[STATE_MOST]);

/* Change those values that the bytes name; knobs and positions that are gone are left. Returns whether the bytes are
 * a state. */
int parameters_load(const Parameters *p, const unsigned char *bytes, size_t size, double *values);

#endif
