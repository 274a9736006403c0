/* One stream: its memory, its knobs, its past. The sums are in engine.c. */
#include "player.h"

#include <stdatomic.h>
#include <string.h>

#include "engine.h"
#include "knobs.h"

enum {
    BLOCK = 256,               /* samples that operations run over at once; longer calls are cut */
    SLACK = 128,               /* samples that a buffer takes, at least, before its past is moved to the front */
    MAX_STATE = 1 << 25,       /* numbers in all buffers */
};

static const double FULL_TURN_SECONDS = 0.03;
static const float SILENCE = 1e-15f;   /* smaller inputs count as 0: sums of denormals take ten times as long */

/* What the knobs make of the network at one moment; or by how much a sample moves that. */
typedef struct {
    float levels[AMP_MAX_COLUMNS];            /* what the network takes of the knobs */
    float features[AMP_MAX_COLUMNS];          /* what the encoder makes of the levels; the same without one */
    float *values;                            /* of the coefficients */
} Point;

struct Player {
    const Engine *engine;
    AmpHeader head;
    AmpKnob knobs[AMP_MAX_KNOBS];
    _Atomic double set[AMP_MAX_KNOBS];        /* faceplate values that `player_set_knob` was given */
    double taken[AMP_MAX_KNOBS];              /* those that `goal` is made of */
    float goal[AMP_MAX_COLUMNS];              /* levels to which the knobs glide */
    float reach;                              /* what a level may move between two control points */
    Point now, next, step;                    /* the last control point, the next one, and what a sample moves */
    int32_t gliding, glided;                  /* whether they differ, and samples since the last one */
    size_t coefficients;                      /* with room for whole vectors */
    const Operation *operations;
    const float *weights, *constants, *slopes;
    float *ramp;                              /* (BLOCK + ENGINE_TILE) samples since the last control point */
    float *state;
    size_t state_bytes;
    Buffer *buffers;
    int64_t silenced;                         /* samples that were not finite */
};

/* Layout: everything in one piece of memory, each part aligned. */

static size_t round_up(size_t number, size_t unit) { return (number + unit - 1) / unit * unit; }

static size_t take(size_t *top, size_t bytes) {
    const size_t at = *top;
    *top += round_up(bytes, PLAYER_ALIGNMENT);
    return at;
}

static int32_t buffer_history(const AmpBuffer *b, int32_t factor) {
    return (int32_t)round_up((size_t)b->history * (size_t)factor, ENGINE_WIDTH);
}

/* Samples from one row to the next: the past, room to move on, a block and a tile; an odd number of vectors, so that
 * rows do not share the sets of a cache. */
static int32_t buffer_stride(const AmpBuffer *b, int32_t factor) {
    const int32_t history = buffer_history(b, factor), slack = history > SLACK ? history : history ? SLACK : 0;
    return (int32_t)round_up((size_t)(history + slack + BLOCK + ENGINE_TILE), 2 * ENGINE_WIDTH) + ENGINE_WIDTH;
}

static int is_view(const AmpHeader *h, int32_t buffer) { return buffer == h->level_rows || buffer == h->feature_rows; }

/* Numbers in all buffers and a tile after them, -1 where there are too many. */
static int64_t state_size(const Amp *amp, int32_t factor) {
    int64_t size = ENGINE_TILE;
    for (int32_t i = 0; i < amp->head.buffers; i++) {
        if (is_view(&amp->head, i)) continue;
        size += (int64_t)amp->buffers[i].rows * buffer_stride(amp->buffers + i, factor);
        if (size > MAX_STATE) return -1;
    }
    return size;
}

typedef struct { size_t operations, weights, coefficients, values, ramp, buffers, state, end; } Layout;

static Layout lay_out(const Amp *amp, int64_t state) {
    const AmpHeader *h = &amp->head;
    const size_t row = 4 * round_up((size_t)h->coefficients, ENGINE_WIDTH);
    size_t top = 0;
    take(&top, sizeof(Player));
    Layout l = {.operations = take(&top, (size_t)h->operations * sizeof(Operation))};
    l.weights = take(&top, (size_t)h->weights * 4);
    l.coefficients = take(&top, row * (size_t)(1 + h->features));
    l.values = take(&top, row * 3);
    l.ramp = take(&top, 4 * (BLOCK + ENGINE_TILE));
    l.buffers = take(&top, (size_t)h->buffers * sizeof(Buffer));
    l.state = take(&top, (size_t)state * 4);
    l.end = top;
    return l;
}

size_t player_size(const Amp *amp, int32_t factor) {
    if (factor < 1 || factor > PLAYER_MAX_FACTOR) return 0;
    const int64_t state = state_size(amp, factor);
    return state < 0 ? 0 : lay_out(amp, state).end;
}

static void place_buffers(Player *p, const Amp *amp, int32_t factor) {
    float *at = p->state;
    const AmpHeader *h = &p->head;
    for (int32_t i = 0; i < h->buffers; i++) {
        const AmpBuffer *b = amp->buffers + i;
        const int32_t history = buffer_history(b, factor), stride = buffer_stride(b, factor);
        p->buffers[i] = (Buffer){at, stride, history, history, b->past_rows};
        if (!is_view(h, i)) at += (ptrdiff_t)b->rows * stride;
    }
    const int32_t views[2] = {h->level_rows, h->feature_rows}, whole[2] = {h->input, h->condition};
    for (int i = 0; i < 2; i++) {                 /* a view begins one row later: the first row is the audio */
        Buffer b = p->buffers[whole[i]];
        b.data += b.stride;
        p->buffers[views[i]] = b;
    }
}

static void copy_program(const Amp *amp, int32_t factor, Operation *operations, float *weights, float *coefficients) {
    const AmpHeader *h = &amp->head;
    const size_t count = (size_t)h->coefficients, row = round_up(count, ENGINE_WIDTH);
    for (int32_t i = 0; i < h->operations; i++) {
        amp_operation(amp, i, operations + i);
        operations[i].dilation *= operations[i].kind == CONVOLVE ? factor : 1;
    }
    amp_floats(amp->weights, (size_t)h->weights, weights);
    amp_floats(amp->constants, count, coefficients);
    for (size_t f = 0; f < (size_t)h->features; f++)
        amp_floats(amp->slopes + 4 * f * count, count, coefficients + (1 + f) * row);
}

Player *player_init(void *memory, const Amp *amp, int32_t factor, const char *engine) {
    const Engine *found = engine_find(engine);
    if (!found) return NULL;
    const Layout l = lay_out(amp, state_size(amp, factor));
    char *m = memory;
    memset(m, 0, l.end);
    Player *p = memory;
    p->engine = found;
    p->head = amp->head;
    p->coefficients = round_up((size_t)amp->head.coefficients, ENGINE_WIDTH);
    Operation *operations = (Operation *)(m + l.operations);
    float *weights = (float *)(m + l.weights), *coefficients = (float *)(m + l.coefficients);
    copy_program(amp, factor, operations, weights, coefficients);
    p->operations = operations;
    p->weights = weights;
    p->constants = coefficients;
    p->slopes = coefficients + p->coefficients;
    p->now.values = (float *)(m + l.values);
    p->next.values = p->now.values + p->coefficients;
    p->step.values = p->next.values + p->coefficients;
    p->ramp = (float *)(m + l.ramp);
    p->buffers = (Buffer *)(m + l.buffers);
    p->state = (float *)(m + l.state);
    p->state_bytes = l.end - l.state;
    place_buffers(p, amp, factor);
    p->reach = (float)(2 * PLAYER_CONTROL / (FULL_TURN_SECONDS * amp->head.sample_rate * factor));
    for (int32_t i = 0; i < p->head.knobs; i++) {
        amp_knob(amp, i, p->knobs + i);
        atomic_init(p->set + i, p->knobs[i].rest);
        p->taken[i] = p->knobs[i].rest;
    }
    knob_encode(p->knobs, p->head.knobs, p->head.encoding, p->taken, p->goal);
    player_reset_levels(p, p->goal);
    return p;
}

/* Coefficients and features. */

/* values = constants + slopes * features, for all coefficients. */
static void fold(const Player *p, const float *features, float *values) {
    memcpy(values, p->constants, 4 * p->coefficients);
    for (int32_t f = 0; f < p->head.features; f++) {
        const float *slopes = p->slopes + (size_t)f * p->coefficients, feature = features[f];
        for (size_t c = 0; c < p->coefficients; c++) values[c] += slopes[c] * feature;
    }
}

static float *row(const Player *p, int32_t buffer, int32_t index) {
    return p->buffers[buffer].data + (ptrdiff_t)index * p->buffers[buffer].stride;
}

static Block still_block(const Player *p, const float *values, int32_t samples) {
    return (Block){.weights = p->weights, .buffers = p->buffers, .values = values, .samples = samples};
}

/* Where a row ends, move its past to the front. */
static void make_room(Player *p, int32_t samples) {
    for (int32_t i = 0; i < p->head.buffers; i++) {
        Buffer *b = p->buffers + i;
        if (b->position + samples + ENGINE_TILE <= b->stride) continue;
        for (int32_t r = 0; r < b->past_rows; r++) {
            float *front = row(p, i, r);
            memcpy(front, front + b->position - b->history, 4 * (size_t)b->history);
        }
        b->position = b->history;
    }
}

/* Run the encoder over the rows of levels; without one these are the rows of features. No knob moves its biases. */
static void run_encoder(Player *p, int32_t samples) {
    make_room(p, samples); /* no writer gives an encoder buffers with a past; a hostile file may */
    const Block block = still_block(p, p->constants, samples);
    p->engine->run(&block, p->operations, p->operations + p->head.encoder_operations);
}

/* Fill in the features and coefficients of a point whose levels are known. */
static void settle(Player *p, Point *point) {
    for (int32_t c = 0; c < p->head.columns; c++) *row(p, p->head.level_rows, c) = point->levels[c];
    run_encoder(p, 1);
    for (int32_t f = 0; f < p->head.features; f++) point->features[f] = *row(p, p->head.feature_rows, f);
    fold(p, point->features, point->values);
}

/* Put the knobs where they cause these levels, at once. */
static void jump(Player *p, const float *levels) {
    p->gliding = 0;
    memcpy(p->now.levels, levels, 4 * (size_t)p->head.columns);
    settle(p, &p->now);
}

/* Blocks. */

static void set_audio(const Player *p, const float *x, int32_t samples) {
    float *input = row(p, p->head.input, 0);
    for (int32_t t = 0; t < samples; t++) {
        const float size = x[t] < 0 ? -x[t] : x[t];
        input[t] = size > SILENCE ? x[t] : 0;     /* of NaN, too, nothing is heard */
    }
    if (p->head.condition != p->head.input) memcpy(row(p, p->head.condition, 0), input, 4 * (size_t)samples);
}

/* Fill rows with straight lines: first + step * samples since the control point. */
static void draw_lines(const Player *p, int32_t buffer, int32_t rows, const float *first, const float *step,
                       int32_t samples) {
    for (int32_t r = 0; r < rows; r++) {
        float *line = row(p, buffer, r);
        for (int32_t t = 0; t < samples; t++) line[t] = first[r] + step[r] * p->ramp[t];
    }
}

/* Fill the rows of levels and features, for nets that take them sample by sample. */
static void draw_knobs(const Player *p, const Point *step, int32_t samples) {
    if (!p->head.levels_per_sample) return;
    draw_lines(p, p->head.level_rows, p->head.columns, p->now.levels, step->levels, samples);
    draw_lines(p, p->head.feature_rows, p->head.features, p->now.features, step->features, samples);
}

/* Run the net over a block that stands in the rows, and go on by it. */
static void run_net(Player *p, const Block *block, float *y) {
    make_room(p, block->samples);
    p->engine->run(block, p->operations + p->head.encoder_operations, p->operations + p->head.operations);
    const float *output = row(p, p->head.output, 0) + p->buffers[p->head.output].position;
    for (int32_t t = 0; t < block->samples; t++) {
        const int finite = output[t] - output[t] == 0;
        y[t] = finite ? output[t] : 0;
        p->silenced += !finite;
    }
    for (int32_t i = 0; i < p->head.buffers; i++)
        if (p->buffers[i].history) p->buffers[i].position += block->samples;
}

static void play_still(Player *p, const float *x, float *y, int32_t samples) {
    static const Point none;
    set_audio(p, x, samples);
    draw_knobs(p, &none, samples);
    const Block block = still_block(p, p->now.values, samples);
    run_net(p, &block, y);
}

/* All coefficients move in straight lines: one row, the samples since the control point, moves them all. */
static void play_glide(Player *p, const float *x, float *y, int32_t samples) {
    for (int32_t t = 0; t < samples; t++) p->ramp[t] = (float)(p->glided + t + 1);
    set_audio(p, x, samples);
    draw_knobs(p, &p->step, samples);
    Block block = still_block(p, p->now.values, samples);
    block.slopes = p->step.values;
    block.moving = p->ramp;
    block.movers = 1;
    run_net(p, &block, y);
    p->glided += samples;
}

/* Levels that move in any way, `(columns, stride)`: the coefficients follow the features sample by sample. */
static void play_moving(Player *p, const float *x, float *y, int32_t samples, const float *levels, int32_t stride) {
    for (int32_t c = 0; c < p->head.columns; c++)
        memcpy(row(p, p->head.level_rows, c), levels + (ptrdiff_t)c * stride, 4 * (size_t)samples);
    run_encoder(p, samples);
    set_audio(p, x, samples);
    Block block = still_block(p, p->constants, samples);
    block.slopes = p->slopes;
    block.slopes_stride = (ptrdiff_t)p->coefficients;
    block.moving = row(p, p->head.feature_rows, 0);
    block.moving_stride = p->buffers[p->head.feature_rows].stride;
    block.movers = p->head.features;
    run_net(p, &block, y);
}

/* Make the past of a buffer what its rows are now. */
static void fill_past(const Player *p, int32_t buffer) {
    const Buffer *b = p->buffers + buffer;
    for (int32_t r = 0; r < b->past_rows; r++) {
        float *now = row(p, buffer, r) + b->position;
        for (int32_t t = 1; t <= b->history; t++) now[-t] = *now;
    }
}

/* Fill the past as if silence had always been playing: nothing then changes in time, so one sample tells all. */
static void play_silence(Player *p) {
    static const Point none;
    static const float silence[1];
    memset(p->state, 0, p->state_bytes);
    for (int32_t i = 0; i < p->head.buffers; i++) p->buffers[i].position = p->buffers[i].history;
    set_audio(p, silence, 1);
    draw_knobs(p, &none, 1);
    const Block block = still_block(p, p->now.values, 1);
    for (int32_t i = p->head.encoder_operations; i < p->head.operations; i++) {
        const Operation *o = p->operations + i;
        if (o->kind == CONVOLVE) fill_past(p, o->source);
        p->engine->run(&block, o, o + 1);
    }
    for (int32_t i = 0; i < p->head.buffers; i++) fill_past(p, i);
}

/* Gliding. */

/* Take the knobs as they are set now; returns whether the levels are elsewhere. */
static int take_knobs(Player *p) {
    int changed = 0;
    for (int32_t i = 0; i < p->head.knobs; i++) {
        const double value = atomic_load_explicit(p->set + i, memory_order_relaxed);
        changed |= value != p->taken[i];
        p->taken[i] = value;
    }
    if (changed) knob_encode(p->knobs, p->head.knobs, p->head.encoding, p->taken, p->goal);
    return memcmp(p->now.levels, p->goal, 4 * (size_t)p->head.columns) != 0;
}

static void line(const float *from, const float *to, size_t count, float *step) {
    for (size_t i = 0; i < count; i++) step[i] = (to[i] - from[i]) * (1.0f / (float)PLAYER_CONTROL);
}

/* Begin a straight line of PLAYER_CONTROL samples towards the goal. */
static void begin_glide(Player *p) {
    for (int32_t c = 0; c < p->head.columns; c++) {
        const float level = p->now.levels[c], gap = p->goal[c] - level;
        p->next.levels[c] = gap > p->reach ? level + p->reach : gap < -p->reach ? level - p->reach : p->goal[c];
    }
    settle(p, &p->next);
    line(p->now.levels, p->next.levels, (size_t)p->head.columns, p->step.levels);
    line(p->now.features, p->next.features, (size_t)p->head.features, p->step.features);
    line(p->now.values, p->next.values, p->coefficients, p->step.values);
    p->gliding = 1;
    p->glided = 0;
}

static void end_glide(Player *p) {
    const Point passed = p->now;
    p->now = p->next;
    p->next = passed;
    p->gliding = 0;
}

/* The public functions. */

const char *player_engine(const Player *p) { return p->engine->name; }

int64_t player_silenced(const Player *p) { return p->silenced; }

void player_set_knob(Player *p, int32_t knob, double value) {
    if (knob < 0 || knob >= p->head.knobs || value != value) return;
    atomic_store_explicit(p->set + knob, value, memory_order_relaxed);
}

int32_t player_is_moving(Player *p) { return p->gliding || take_knobs(p); }

void player_reset_levels(Player *p, const float *levels) {
    jump(p, levels);
    play_silence(p);
}

void player_reset(Player *p) {
    take_knobs(p);
    player_reset_levels(p, p->goal);
}

void player_process(Player *p, const float *x, float *y, int32_t samples) {
    for (int32_t done = 0, count; done < samples; done += count) {
        count = samples - done < BLOCK ? samples - done : BLOCK;
        if (!p->gliding && take_knobs(p)) begin_glide(p);
        if (!p->gliding) {
            play_still(p, x + done, y + done, count);
            continue;
        }
        if (count > PLAYER_CONTROL - p->glided) count = PLAYER_CONTROL - p->glided;
        play_glide(p, x + done, y + done, count);
        if (p->glided == PLAYER_CONTROL) end_glide(p);
    }
}

void player_process_levels(Player *p, const float *x, float *y, int32_t samples, const float *levels, int32_t moving) {
    const size_t bytes = 4 * (size_t)p->head.columns;
    if (!moving && (p->gliding || memcmp(levels, p->now.levels, bytes))) jump(p, levels);
    for (int32_t done = 0, count; done < samples; done += count) {
        count = samples - done < BLOCK ? samples - done : BLOCK;
        if (moving) play_moving(p, x + done, y + done, count, levels + done, samples);
        else play_still(p, x + done, y + done, count);
    }
    if (!moving || samples <= 0) return;
    float last[AMP_MAX_COLUMNS];
    for (int32_t c = 0; c < p->head.columns; c++) last[c] = levels[(ptrdiff_t)c * samples + samples - 1];
    jump(p, last);
}

void player_set_levels(Player *p, float *levels) {
    take_knobs(p);
    memcpy(levels, p->goal, 4 * (size_t)p->head.columns);
}

int32_t player_encode(const Player *p, const double *values, float *levels) {
    return knob_encode(p->knobs, p->head.knobs, p->head.encoding, values, levels);
}

size_t player_amp_size(void) { return sizeof(Amp); }

enum AmpError player_amp_read(Amp *amp, const void *bytes, size_t size) { return amp_read(amp, bytes, size); }

const char *player_error_text(enum AmpError error) { return amp_error_text(error); }
