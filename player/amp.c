/* The reader of amp.bin. Numbers are put together byte by byte: any alignment, any byte order of the machine. */
#include "amp.h"

#include <string.h>

enum {
    HEADER_INTS = sizeof(AmpHeader) / 4, OPERATION_INTS = sizeof(Operation) / 4,
    HEADER_BYTES = 4 + 4 * HEADER_INTS + 4 + 4 + AMP_IDENTITY + AMP_NAME,
    KNOB_BYTES = AMP_TEXT + 3 * 4 + 4 * 8 + AMP_UNIT,
    OPERATION_BYTES = 4 * OPERATION_INTS,
};

static const char MAGIC[4] = {'A', 'M', 'P', 'B'};

static uint32_t bits_32(const unsigned char *b) {
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static int32_t int_32(const unsigned char *b) {
    const uint32_t bits = bits_32(b);
    int32_t number;
    memcpy(&number, &bits, 4);
    return number;
}

static float float_32(const unsigned char *b) {
    const uint32_t bits = bits_32(b);
    float number;
    memcpy(&number, &bits, 4);
    return number;
}

static double float_64(const unsigned char *b) {
    const uint64_t bits = (uint64_t)bits_32(b) | (uint64_t)bits_32(b + 4) << 32;
    double number;
    memcpy(&number, &bits, 8);
    return number;
}

static void ints(const unsigned char *bytes, int count, void *record) {
    for (int i = 0; i < count; i++) {
        const int32_t number = int_32(bytes + 4 * i);
        memcpy((char *)record + 4 * i, &number, 4);
    }
}

void amp_floats(const unsigned char *bytes, size_t count, float *numbers) {
    for (size_t i = 0; i < count; i++) numbers[i] = float_32(bytes + 4 * i);
}

void amp_operation(const Amp *amp, int32_t index, Operation *operation) {
    ints(amp->operations + (size_t)index * OPERATION_BYTES, OPERATION_INTS, operation);
}

void amp_position(const Amp *amp, int32_t index, char name[AMP_TEXT]) {
    memcpy(name, amp->positions + (size_t)index * AMP_TEXT, AMP_TEXT);
}

void amp_knob(const Amp *amp, int32_t index, AmpKnob *knob) {
    const unsigned char *b = amp->knobs + (size_t)index * KNOB_BYTES;
    memcpy(knob->name, b, AMP_TEXT);
    knob->kind = int_32(b + AMP_TEXT);
    knob->flags = int_32(b + AMP_TEXT + 4);
    knob->positions = int_32(b + AMP_TEXT + 8);
    const unsigned char *range = b + AMP_TEXT + 12;
    knob->min = float_64(range);
    knob->max = float_64(range + 8);
    knob->rest = float_64(range + 16);
    knob->step = float_64(range + 24);
    memcpy(knob->unit, range + 32, AMP_UNIT);
    knob->first_position = 0;
    for (int32_t i = 0; i < index; i++)
        knob->first_position += int_32(amp->knobs + (size_t)i * KNOB_BYTES + AMP_TEXT + 8);
}

/* Checks. `within` is true where low <= number <= high; NaN is within nothing. */

static int within(double number, double low, double high) { return low <= number && number <= high; }

static int finite_floats(const unsigned char *bytes, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if ((bits_32(bytes + 4 * i) & 0x7f800000u) == 0x7f800000u) return 0;
    return 1;
}

/* A name: letters, digits, space and _.+- (at least one), then NUL to the last of `size` bytes (at least one). */
static int is_name(const unsigned char *b, int size) {
    int length = 0;
    while (length < size && b[length]) {
        const unsigned char c = b[length++], letter = c | 0x20;
        if (!(within(letter, 'a', 'z') || within(c, '0', '9') || (c && strchr(" _.+-", c)))) return 0;
    }
    for (int i = length; i < size; i++)
        if (b[i]) return 0;
    return 0 < length && length < size;
}

/* A unit: letters, digits, % and /, a letter or % first, then NUL to the last byte (at least one); or nothing. */
static int is_unit(const char *unit) {
    int length = 0;
    for (; length < AMP_UNIT && unit[length]; length++) {
        const int c = unit[length], letter = c | 0x20;
        if (!within(letter, 'a', 'z') && c != '%' && !(length && (within(c, '0', '9') || c == '/'))) return 0;
    }
    for (int i = length; i < AMP_UNIT; i++)
        if (unit[i]) return 0;
    return length < AMP_UNIT;
}

static int sizes_fit(const AmpHeader *h) {
    return within(h->knobs, 0, AMP_MAX_KNOBS) && within(h->positions, 0, AMP_MAX_COLUMNS)
        && within(h->columns, 0, AMP_MAX_COLUMNS) && within(h->features, 0, AMP_MAX_COLUMNS)
        && within(h->buffers, 1, AMP_MAX_BUFFERS) && within(h->operations, 1, AMP_MAX_OPERATIONS)
        && within(h->weights, 0, AMP_MAX_WEIGHTS) && within(h->coefficients, 0, AMP_MAX_WEIGHTS)
        && within((double)h->coefficients * (h->features + 1), 0, AMP_MAX_WEIGHTS);
}

/* The buffers that audio and knobs enter; the rows of levels and features are views of two of them. */
static int header_fits(const AmpHeader *h) {
    const int32_t named[5] = {h->input, h->condition, h->output, h->level_rows, h->feature_rows};
    for (int i = 0; i < 5; i++) {
        if (!within(named[i], 0, h->buffers - 1)) return 0;
        for (int j = 3; j < i; j++)
            if (named[i] == named[j]) return 0;
        if (i < 3 && (named[i] == h->level_rows || named[i] == h->feature_rows)) return 0;
    }
    const int has_encoder = h->encoder_operations > 0;
    return within(h->sample_rate, 8000, 192000) && within(h->receptive_field, 1, AMP_MAX_HISTORY)
        && within(h->encoding, LEVELS, TYPE_LEVEL) && within(h->levels_per_sample, 0, 1)
        && within(h->encoder_operations, 0, h->operations - 1)
        && (has_encoder || (h->features == h->columns && h->condition == h->input));
}

static int knobs_fit(const Amp *amp) {
    int32_t positions = 0, columns = amp->head.encoding == TYPE_LEVEL;
    for (int32_t i = 0; i < amp->head.knobs; i++) {
        AmpKnob k;
        amp_knob(amp, i, &k);
        const int is_switch = k.kind == KNOB_SWITCH;
        if (!within(k.kind, KNOB_LINEAR, KNOB_SWITCH) || !within(k.flags, 0, KNOB_IS_GAIN | KNOB_AVOIDS_ZERO)
            || !is_name((const unsigned char *)k.name, AMP_TEXT) || !within(k.min, -1e9, 1e9)
            || !within(k.max, -1e9, 1e9) || !(k.min < k.max) || !within(k.rest, k.min, k.max)
            || !within(k.step, 0, k.max - k.min))
            return 0;
        if (!is_unit(k.unit) || (is_switch && *k.unit)) return 0;
        if (!is_switch && k.positions != 0) return 0;
        if (is_switch && (!within(k.positions, 2, AMP_MAX_POSITIONS) || amp->head.encoding == TYPE_LEVEL)) return 0;
        if (is_switch && (k.min != 0 || k.max != k.positions - 1 || k.rest != (int)k.rest || k.step != 1)) return 0;
        positions += k.positions;
        columns += is_switch ? k.positions : 1;
    }
    for (int32_t i = 0; i < positions && i < amp->head.positions; i++)
        if (!is_name(amp->positions + (size_t)i * AMP_TEXT, AMP_TEXT)) return 0;
    return positions == amp->head.positions && columns == amp->head.columns;
}

/* Note that an operation touches so many rows of a buffer. */
static int touch(Amp *amp, int32_t buffer, int64_t rows) {
    if (!within(buffer, 0, amp->head.buffers - 1) || !within((double)rows, 1, AMP_MAX_ROWS)) return 0;
    AmpBuffer *b = amp->buffers + buffer;
    if (rows > b->rows) b->rows = (int32_t)rows;
    return 1;
}

static int convolution_fits(Amp *amp, const Operation *o, int in_encoder) {
    const AmpHeader *h = &amp->head;
    const int height_fits = within(o->height, 1, 4) || o->height == 6;
    if (!height_fits || !within(o->groups, 1, AMP_MAX_ROWS) || !within(o->chunks, 1, AMP_MAX_ROWS)
        || !within(o->rows_per_group, 1, AMP_MAX_ROWS) || !within(o->taps, 1, in_encoder ? 1 : AMP_MAX_TAPS)
        || !within(o->dilation, 1, AMP_MAX_HISTORY) || !within(o->follows_features, 0, 1)
        || !within(o->extra_rows, 0, AMP_MAX_ROWS))
        return 0;
    const int64_t chunks = (int64_t)o->groups * o->chunks, sources = (int64_t)o->groups * o->rows_per_group;
    const int64_t history = (int64_t)(o->taps - 1) * o->dilation;
    const int64_t products = (int64_t)o->taps * o->rows_per_group + o->extra_rows;
    if (o->rows != chunks * o->height || history >= AMP_MAX_HISTORY || !touch(amp, o->source, sources)
        || (o->extra_rows && !touch(amp, o->extra, o->extra_rows))
        || !within(o->weights, 0, (double)h->weights - (double)o->rows * (double)products)
        || !within(o->bias, 0, (double)h->coefficients - o->rows))
        return 0;
    AmpBuffer *source = amp->buffers + o->source;
    if (history > source->history) source->history = (int32_t)history;
    if (history && sources > source->past_rows) source->past_rows = (int32_t)sources;
    return 1;
}

static int activation_fits(Amp *amp, const Operation *o) {
    const double last = (double)amp->head.weights - o->rows;
    return within(o->activation, IDENTITY, SIGMOID) && within(o->gating, UNGATED, BLENDED)
        && within(o->gate, IDENTITY, SIGMOID) && (o->activation != SLOPED || within(o->slopes, 0, last))
        && (!o->gating || o->gate != SLOPED || within(o->gate_slopes, 0, last))
        && touch(amp, o->source, (int64_t)o->rows * (o->gating ? 2 : 1))
        && (o->extra == AMP_NONE || touch(amp, o->extra, o->rows));
}

static int modulation_fits(Amp *amp, const Operation *o) {
    const double last = (double)amp->head.coefficients - o->rows;
    return o->rows % 2 == 0 && within(o->scale, 0, last) && within(o->shift, 0, last) && touch(amp, o->source, o->rows);
}

static int operation_fits(Amp *amp, const Operation *o, int in_encoder) {
    if (!touch(amp, o->target, o->rows) || (o->addend != AMP_NONE && !touch(amp, o->addend, o->rows))) return 0;
    switch (o->kind) {
    case CONVOLVE: return convolution_fits(amp, o, in_encoder);
    case MODULATE: return modulation_fits(amp, o);
    case ACTIVATE: return activation_fits(amp, o);
    default: return 0;
    }
}

/* Check the operations and note what they ask of the buffers. Rows of levels and features have no past. */
static int operations_fit(Amp *amp) {
    const AmpHeader *h = &amp->head;
    memset(amp->buffers, 0, sizeof amp->buffers);
    for (int32_t i = 0; i < h->operations; i++) {
        Operation o;
        amp_operation(amp, i, &o);
        if (!operation_fits(amp, &o, i < h->encoder_operations)) return 0;
    }
    const int32_t views[2] = {h->level_rows, h->feature_rows}, whole[2] = {h->input, h->condition};
    const int32_t count[2] = {h->columns, h->features};
    for (int i = 0; i < 2; i++) {
        if (count[i] && !touch(amp, views[i], count[i])) return 0;
        if (!touch(amp, whole[i], amp->buffers[views[i]].rows + 1)) return 0;
        if (amp->buffers[views[i]].history || amp->buffers[whole[i]].history) return 0;
    }
    return touch(amp, h->output, 1);
}

enum AmpError amp_read(Amp *amp, const void *bytes, size_t size) {
    const unsigned char *b = bytes;
    if (size < HEADER_BYTES) return AMP_TRUNCATED;
    if (memcmp(b, MAGIC, 4)) return AMP_UNKNOWN;
    ints(b + 4, HEADER_INTS, &amp->head);
    const AmpHeader *h = &amp->head;
    if (h->version != AMP_VERSION) return AMP_NEWER;
    if (!sizes_fit(h)) return AMP_BAD_HEADER;

    const unsigned char *rest = b + 4 + 4 * HEADER_INTS;
    amp->input_level_dbu = float_32(rest);
    amp->output_level_dbu = float_32(rest + 4);
    memcpy(amp->identity, rest + 8, AMP_IDENTITY);
    memcpy(amp->name, rest + 8 + AMP_IDENTITY, AMP_NAME);

    const size_t knobs = (size_t)h->knobs * KNOB_BYTES, positions = (size_t)h->positions * AMP_TEXT;
    const size_t operations = (size_t)h->operations * OPERATION_BYTES, weights = (size_t)h->weights * 4;
    const size_t constants = (size_t)h->coefficients * 4, slopes = constants * (size_t)h->features;
    const size_t total = HEADER_BYTES + knobs + positions + operations + weights + constants + slopes;
    if (size < total) return AMP_TRUNCATED;
    if (size > total || h->size < 0 || (size_t)h->size != total) return AMP_BAD_SIZE;
    amp->knobs = b + HEADER_BYTES;
    amp->positions = amp->knobs + knobs;
    amp->operations = amp->positions + positions;
    amp->weights = amp->operations + operations;
    amp->constants = amp->weights + weights;
    amp->slopes = amp->constants + constants;

    if (!header_fits(h) || !is_name((const unsigned char *)amp->name, AMP_NAME)) return AMP_BAD_HEADER;
    if (!knobs_fit(amp)) return AMP_BAD_KNOB;
    if (!operations_fit(amp)) return AMP_BAD_OPERATION;
    return finite_floats(amp->weights, (int64_t)((weights + constants + slopes) / 4)) ? AMP_OK : AMP_BAD_NUMBER;
}

const char *amp_error_text(enum AmpError error) {
    static const char *const texts[] = {
        [AMP_OK] = "the file is sound",
        [AMP_TRUNCATED] = "the file ends too early",
        [AMP_UNKNOWN] = "this is not an amp.bin",
        [AMP_NEWER] = "this amp.bin has a version that this player does not know",
        [AMP_BAD_SIZE] = "the size of the file is not the size that its header states",
        [AMP_BAD_HEADER] = "a number in the header is out of range",
        [AMP_BAD_KNOB] = "a knob is out of range",
        [AMP_BAD_OPERATION] = "an operation is out of range",
        [AMP_BAD_NUMBER] = "a weight is not a finite number",
    };
    return error >= AMP_OK && error <= AMP_BAD_NUMBER ? texts[error] : "unknown error";
}
