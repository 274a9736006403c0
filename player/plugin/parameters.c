/* The knobs of an amp as a host sees them. */
#include "parameters.h"

#include <string.h>

#include "../knobs.h"

enum { MOST_DECIMALS = 9, MOST_STEPS = 10000 };

static const char STATE_MAGIC[4] = {'A', 'M', 'P', 'S'};
static const char EXACT_TEXT[] = "exact", NOT_EXACT_TEXT[] = "exact (too slow here: ramps)";
static const double TEXT_STEPS = 999.5;    /* a turn has at least so many different texts */

/* FNV-1a (Fowler, Noll, Vo), in the 31 bits that VST3 leaves to plugins. */
static uint32_t id_of(const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash & 0x7fffffff;
}

static void identify(Parameters *p) {
    uint32_t id = id_of(p->knobs[p->count].name);
    while (parameters_find(p, id) >= 0) id = (id + 1) & 0x7fffffff;
    p->ids[p->count++] = id;
}

void parameters_read(Parameters *p, const Amp *amp) {
    memset(p, 0, sizeof *p);
    for (int32_t i = 0; i < amp->head.knobs; i++) {
        amp_knob(amp, i, p->knobs + i);
        identify(p);
    }
    for (int32_t i = 0; i < amp->head.positions; i++) amp_position(amp, i, p->positions[i]);
    p->knobs[p->count] = (AmpKnob){
        "Knob moves", KNOB_SWITCH, 0, MOVES, amp->head.positions, RAMPS, EXACT, RAMPS, 1, "",
    };
    strcpy(p->positions[amp->head.positions + RAMPS], "ramps");
    strcpy(p->positions[amp->head.positions + EXACT], EXACT_TEXT);
    identify(p);
}

int32_t parameters_find(const Parameters *p, uint32_t id) {
    for (int32_t i = 0; i < p->count; i++)
        if (p->ids[i] == id) return i;
    return -1;
}

double parameters_legal(const Parameters *p, int32_t index, double value) {
    const AmpKnob *k = p->knobs + index;
    if (value != value) return k->rest;
    if (k->kind == KNOB_SWITCH) return knob_position(k, value);
    return value < k->min ? k->min : value > k->max ? k->max : value;
}

/* Positions divide a turn evenly, as VST3 has it. */
double parameters_value(const Parameters *p, int32_t index, double turn) {
    const AmpKnob *k = p->knobs + index;
    if (turn != turn) return k->rest;
    turn = turn < 0 ? 0 : turn > 1 ? 1 : turn;
    if (k->kind != KNOB_SWITCH) return parameters_legal(p, index, k->min + turn * (k->max - k->min));
    const int32_t position = (int32_t)(turn * k->positions);
    return position < k->positions ? position : k->positions - 1;
}

double parameters_turn(const Parameters *p, int32_t index, double value) {
    const AmpKnob *k = p->knobs + index;
    return (parameters_legal(p, index, value) - k->min) / (k->max - k->min);
}

int32_t parameters_steps(const Parameters *p, int32_t index) {
    const AmpKnob *k = p->knobs + index;
    if (k->kind == KNOB_SWITCH) return k->positions - 1;
    const double steps = k->step > 0 ? (k->max - k->min) / k->step : 0;
    if (!(steps <= MOST_STEPS)) return 0;
    const int32_t whole = (int32_t)(steps + 0.5);
    const double gap = steps - whole;
    return gap > -1e-6 && gap < 1e-6 ? whole : 0;
}

/* Decimals that tell the places of a knob apart. */
static int decimals_of(const AmpKnob *k) {
    double scale = 1;
    int decimals = 0;
    while (decimals < MOST_DECIMALS && (k->max - k->min) * scale < TEXT_STEPS) scale *= 10, decimals++;
    for (; decimals < MOST_DECIMALS && k->step > 0; scale *= 10, decimals++) {
        const double steps = k->step * scale, gap = steps - (double)(int64_t)(steps + 0.5);
        if (gap > -1e-6 && gap < 1e-6) break;
    }
    return decimals;
}

/* The text of a number below 1e9 with so many decimals. Returns its length. */
static size_t number_text(double number, int decimals, char text[TEXT_MOST]) {
    double scaled = number < 0 ? -number : number;
    for (int i = 0; i < decimals; i++) scaled *= 10;
    uint64_t digits = (uint64_t)(scaled + 0.5);
    char reversed[TEXT_MOST];
    size_t count = 0, length = 0;
    if (number < 0 && digits) text[length++] = '-';
    for (int i = 0; digits || i <= decimals; i++, digits /= 10) {
        if (i == decimals && decimals) reversed[count++] = '.';
        reversed[count++] = (char)('0' + digits % 10);
    }
    while (count) text[length++] = reversed[--count];
    text[length] = 0;
    return length;
}

void parameters_write(const Parameters *p, int32_t index, double value, int with_unit, char *text, size_t size) {
    const AmpKnob *k = p->knobs + index;
    char number[TEXT_MOST + AMP_UNIT];
    const char *from = number;
    value = parameters_legal(p, index, value);
    if (p->always_ramps && index == p->count - 1 && value == EXACT) from = NOT_EXACT_TEXT;
    else if (k->kind == KNOB_SWITCH) from = p->positions[k->first_position + (int32_t)value];
    else {
        const size_t end = number_text(value, decimals_of(k), number);
        if (with_unit && *k->unit) {
            number[end] = ' ';
            memcpy(number + end + 1, k->unit, AMP_UNIT);
        }
    }
    const size_t length = strlen(from), room = size - 1;
    memcpy(text, from, length < room ? length : room);
    text[length < room ? length : room] = 0;
}

/* Read a number with a point or a comma; what follows it (a unit) is left. */
static int parse_number(const char *text, double *number) {
    double sum = 0, scale = 1;
    int digits = 0;
    while (*text == ' ') text++;
    const int negative = *text == '-';
    if (*text == '-' || *text == '+') text++;
    for (; *text >= '0' && *text <= '9' && digits < 30; text++, digits++) sum = sum * 10 + (*text - '0');
    if (*text == '.' || *text == ',')
        for (text++; *text >= '0' && *text <= '9' && digits < 30; text++, digits++) {
            scale /= 10;
            sum += (*text - '0') * scale;
        }
    *number = negative ? -sum : sum;
    return digits > 0;
}

int parameters_parse(const Parameters *p, int32_t index, const char *text, double *value) {
    const AmpKnob *k = p->knobs + index;
    for (int32_t i = 0; i < k->positions; i++)
        if (!strcmp(text, p->positions[k->first_position + i])) return *value = i, 1;
    double number = EXACT;
    if (!(index == p->count - 1 && !strcmp(text, NOT_EXACT_TEXT)) && !parse_number(text, &number)) return 0;
    *value = parameters_legal(p, index, number);
    return 1;
}

static void put_double(unsigned char *bytes, double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(bits >> 8 * i);
}

static double get_double(const unsigned char *bytes) {
    uint64_t bits = 0;
    double value;
    for (int i = 0; i < 8; i++) bits |= (uint64_t)bytes[i] << 8 * i;
    memcpy(&value, &bits, 8);
    return value;
}

size_t parameters_save(const Parameters *p, const double *values, unsigned char bytes[STATE_MOST]) {
    memset(bytes, 0, STATE_MOST);
    memcpy(bytes, STATE_MAGIC, 4);
    bytes[4] = STATE_VERSION;
    bytes[5] = (unsigned char)p->count;
    for (int32_t i = 0; i < p->count; i++) {
        const AmpKnob *k = p->knobs + i;
        const double value = parameters_legal(p, i, values[i]);
        unsigned char *record = bytes + STATE_HEAD + i * STATE_RECORD;
        memcpy(record, k->name, AMP_TEXT);
        if (k->kind == KNOB_SWITCH)
            memcpy(record + AMP_TEXT, p->positions[k->first_position + (int32_t)value], AMP_TEXT);
        put_double(record + 2 * AMP_TEXT, value);
    }
    return STATE_HEAD + (size_t)p->count * STATE_RECORD;
}

static void load_record(const Parameters *p, const unsigned char *record, double *values) {
    for (int32_t i = 0; i < p->count; i++) {
        const AmpKnob *k = p->knobs + i;
        if (memcmp(record, k->name, AMP_TEXT)) continue;
        const double value = get_double(record + 2 * AMP_TEXT);
        if (k->kind != KNOB_SWITCH && value == value) values[i] = parameters_legal(p, i, value);
        for (int32_t n = 0; n < k->positions; n++)
            if (!memcmp(record + AMP_TEXT, p->positions[k->first_position + n], AMP_TEXT)) values[i] = n;
    }
}

int parameters_load(const Parameters *p, const unsigned char *bytes, size_t size, double *values) {
    if (size < STATE_HEAD || memcmp(bytes, STATE_MAGIC, 4) || bytes[4] != STATE_VERSION) return 0;
    const size_t count = bytes[5];
    if (count > PARAMETERS_MOST || size < STATE_HEAD + count * STATE_RECORD) return 0;
    for (size_t i = 0; i < count; i++) load_record(p, bytes + STATE_HEAD + i * STATE_RECORD, values);
    return 1;
}
