/* The reader of amp.bin, version 2 (docs/reference/amp-bin.md): a checked view of the bytes of a file.
 *
 * The bytes may come from anyone. `amp_read` checks every size and every index before it returns AMP_OK, allocates
 * nothing and keeps no state. All that comes after it may trust the file.
 *
 * Units: a rate is in Hz, a level is what the network takes of a knob (-1 to 1, or 0 and 1 for a position of a
 * switch), a value is a number on the faceplate. A row is a signal in time, a coefficient a number that the knobs move.
 */
#ifndef AMPZOO_AMP_H
#define AMPZOO_AMP_H

#include <stddef.h>
#include <stdint.h>

enum {
    AMP_VERSION = 2,
    AMP_TEXT = 36,                 /* bytes of a name of a knob or a position, NUL at the end */
    AMP_UNIT = 8,                  /* bytes of the unit of a knob, NUL at the end */
    AMP_NAME = 68,                 /* bytes of the name of the amp */
    AMP_IDENTITY = 16,             /* bytes that tell this amp from all others */
    AMP_MAX_KNOBS = 32,
    AMP_MAX_POSITIONS = 16,        /* of one switch */
    AMP_MAX_COLUMNS = 64,          /* numbers that the network takes of all knobs, or of its encoder */
    AMP_MAX_BUFFERS = 1024,
    AMP_MAX_OPERATIONS = 8192,
    AMP_MAX_ROWS = 2048,           /* of a buffer */
    AMP_MAX_TAPS = 64,             /* of a convolution */
    AMP_MAX_HISTORY = 1 << 17,     /* samples of the past, of one convolution and of the whole net */
    AMP_MAX_WEIGHTS = 1 << 24,     /* also coefficients times features */
    AMP_NONE = -1,                 /* in place of the index of a buffer */
};

enum AmpError {
    AMP_OK, AMP_TRUNCATED, AMP_UNKNOWN, AMP_NEWER, AMP_BAD_SIZE, AMP_BAD_HEADER, AMP_BAD_KNOB, AMP_BAD_OPERATION,
    AMP_BAD_NUMBER,
};

enum { KNOB_LINEAR, KNOB_LOG, KNOB_SWITCH };                        /* `kind` of a knob */
enum { KNOB_IS_GAIN = 1, KNOB_AVOIDS_ZERO = 2 };                    /* `flags` of a knob */
enum { LEVELS, TYPE_LEVEL };                                        /* `encoding` */
enum { CONVOLVE, MODULATE, ACTIVATE };                              /* `kind` of an operation */
enum { IDENTITY, TANH, RELU, SLOPED, SILU, HARDTANH, SOFTSIGN, SIGMOID }; /* `activation`, `gate` */
enum { UNGATED, GATED, BLENDED };                                   /* `gating` */

/* A knob, or a switch: its values are then the indices of its positions. */
typedef struct {
    char name[AMP_TEXT];
    int32_t kind, flags;
    int32_t positions;             /* of a switch; 0 for a knob */
    int32_t first_position;        /* index of its first one among all positions of the file */
    double min, max, rest, step;   /* faceplate values; step 0 for none */
    char unit[AMP_UNIT];           /* of these values; empty for none */
} AmpKnob;

/* One step of the program; docs/reference/amp-bin.md has the formula of each kind. */
typedef struct {
    int32_t kind, source, target, addend, extra, rows;
    int32_t height, groups, chunks, rows_per_group, taps, dilation, weights, bias, follows_features, extra_rows;
    int32_t scale, shift;
    int32_t activation, slopes, gating, gate, gate_slopes;
} Operation;

/* What the program asks of a buffer. */
typedef struct {
    int32_t rows;                  /* that operations touch */
    int32_t past_rows;             /* whose past is read */
    int32_t history;               /* samples of the past */
} AmpBuffer;

/* The numbers of the header, in the order of the file. */
typedef struct {
    int32_t version, size, sample_rate, receptive_field, encoding, knobs, positions, columns, features;
    int32_t buffers, operations, encoder_operations, weights, coefficients;
    int32_t input, condition, level_rows, feature_rows, output, levels_per_sample;
} AmpHeader;

typedef struct {
    AmpHeader head;
    float input_level_dbu, output_level_dbu;   /* NaN where not stated */
    unsigned char identity[AMP_IDENTITY];
    char name[AMP_NAME];
    const unsigned char *knobs, *positions, *operations, *weights, *constants, *slopes;   /* into the file */
    AmpBuffer buffers[AMP_MAX_BUFFERS];
} Amp;

/* Check `size` bytes and fill `amp`, which points into them. Returns AMP_OK or what is wrong first. */
enum AmpError amp_read(Amp *amp, const void *bytes, size_t size);

/* A sentence for a person. */
const char *amp_error_text(enum AmpError error);

/* Decode one record; `index` must be below the number of them in the header. */
void amp_knob(const Amp *amp, int32_t index, AmpKnob *knob);
void amp_position(const Amp *amp, int32_t index, char name[AMP_TEXT]);
void amp_operation(const Amp *amp, int32_t index, Operation *operation);

/* Decode `count` float32 numbers. */
void amp_floats(const unsigned char *bytes, size_t count, float *numbers);

#endif
