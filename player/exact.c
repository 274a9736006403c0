/* Crossfades between still sounds: players take turns to replay the past, to be faded to, to be heard, and to pass. */
#include "exact.h"

#include <stdatomic.h>
#include <string.h>

enum {
    PASSED, HEARD, NEXT, LATER, VOICES,  /* what a player does: it was heard in the hop before; it is heard; it is faded
                                            to; it replays the past */
    BLOCK = 256,                         /* samples that are played at once */
    HOPS_PER_SECOND = 50,
};

struct ExactPlayer {
    Player *voices[VOICES];              /* in the order of what they do */
    float levels[VOICES][AMP_MAX_COLUMNS];
    int32_t columns;
    int32_t hop;                         /* samples of a fade, and of a replay */
    int32_t field;                       /* samples of the past that the sound depends on */
    int32_t fading, replaying;           /* whether NEXT and LATER are in use */
    int32_t curved;                      /* whether PASSED is: the knobs go on moving */
    int32_t ramps;                       /* whether HEARD moves the knobs by itself */
    _Atomic int32_t wants_ramps;
    int32_t done;                        /* samples of the hop that are played */
    int64_t now, replayed;               /* samples played since the start, and those up to which LATER has replayed */
    float *past;                         /* a ring of the input */
    int64_t ring;                        /* its length, a power of two */
    float input[BLOCK], output[BLOCK], passed[BLOCK];
};

static size_t round_up(size_t number) {
    return (number + PLAYER_ALIGNMENT - 1) / PLAYER_ALIGNMENT * PLAYER_ALIGNMENT;
}

static int32_t field_of(const Amp *amp, int32_t factor) { return (amp->head.receptive_field - 1) * factor; }

static int32_t hop_of(const Amp *amp, int32_t factor) { return amp->head.sample_rate * factor / HOPS_PER_SECOND; }

static int64_t ring_of(const Amp *amp, int32_t factor) {
    const int64_t need = (int64_t)field_of(amp, factor) + hop_of(amp, factor) + BLOCK;
    int64_t length = BLOCK;
    while (length < need) length *= 2;
    return length;
}

size_t exact_size(const Amp *amp, int32_t factor) {
    const size_t voice = player_size(amp, factor);
    if (!voice) return 0;
    return round_up(sizeof(ExactPlayer)) + VOICES * round_up(voice) + 4 * (size_t)ring_of(amp, factor);
}

ExactPlayer *exact_init(void *memory, const Amp *amp, int32_t factor, const char *engine) {
    const size_t voice = round_up(player_size(amp, factor));
    char *m = memory;
    ExactPlayer *p = memory;
    memset(p, 0, sizeof *p);
    p->columns = amp->head.columns;
    p->hop = hop_of(amp, factor);
    p->field = field_of(amp, factor);
    p->ring = ring_of(amp, factor);
    m += round_up(sizeof *p);
    for (int v = 0; v < VOICES; v++, m += voice) {
        p->voices[v] = player_init(m, amp, factor, engine);
        if (!p->voices[v]) return NULL;
    }
    p->past = (float *)m;
    exact_reset(p);
    return p;
}

const char *exact_engine(const ExactPlayer *p) { return player_engine(p->voices[HEARD]); }

void exact_set_knob(ExactPlayer *p, int32_t knob, double value) {
    for (int v = 0; v < VOICES; v++) player_set_knob(p->voices[v], knob, value); /* any of them may be heard by then */
}

void exact_reset_levels(ExactPlayer *p, const float *levels) {
    memcpy(p->levels[HEARD], levels, 4 * (size_t)p->columns);
    player_reset_levels(p->voices[HEARD], levels);
    memset(p->past, 0, 4 * (size_t)p->ring);
    p->fading = p->replaying = p->curved = p->done = 0;
    p->ramps = atomic_load_explicit(&p->wants_ramps, memory_order_relaxed);
    p->now = p->field; /* so many samples of silence have been */
}

void exact_reset(ExactPlayer *p) {
    float levels[AMP_MAX_COLUMNS];
    player_set_levels(p->voices[HEARD], levels);
    exact_reset_levels(p, levels);
}

static void swap(ExactPlayer *p, int one, int other) {
    Player *voice = p->voices[one];
    p->voices[one] = p->voices[other];
    p->voices[other] = voice;
    float levels[AMP_MAX_COLUMNS];
    memcpy(levels, p->levels[one], sizeof levels);
    memcpy(p->levels[one], p->levels[other], sizeof levels);
    memcpy(p->levels[other], levels, sizeof levels);
}

/* Whether the knobs go on as before from HEARD to NEXT, so that a parabola through the last three settings neither
 * turns back nor overshoots: on a line, it does not where they move at least a third as far as before, or turn round and
 * move at least as far. */
static int is_steady(const ExactPlayer *p) {
    double bend = 0, step = 0;
    for (int32_t c = 0; c < p->columns; c++) {
        const double before = (double)p->levels[HEARD][c] - p->levels[PASSED][c];
        const double now = (double)p->levels[NEXT][c] - p->levels[HEARD][c];
        bend += (now - before) * (now - before);
        step += now * now;
    }
    return bend <= 4 * step;
}

/* Between two hops: what was faded to is heard, what has replayed is faded to, and if the knobs are elsewhere by now,
 * another replay begins. */
static void begin_hop(ExactPlayer *p, const float *goal) {
    const int32_t moved = p->fading;
    if (moved) {
        swap(p, PASSED, HEARD);
        swap(p, HEARD, NEXT);
    }
    if (p->replaying) swap(p, NEXT, LATER);
    p->fading = p->replaying;
    p->curved = moved && p->fading && is_steady(p);
    p->replaying = memcmp(goal, p->levels[p->fading ? NEXT : HEARD], 4 * (size_t)p->columns) != 0;
    if (p->replaying) memcpy(p->levels[LATER], goal, 4 * (size_t)p->columns);
    p->replayed = p->now - p->field;
    p->done = 0;
}

static void remember(ExactPlayer *p, const float *x, int32_t samples) {
    const int64_t at = p->now & (p->ring - 1), first = p->ring - at < samples ? p->ring - at : samples;
    memcpy(p->past + at, x, 4 * (size_t)first);
    memcpy(p->past, x + first, 4 * (size_t)(samples - first));
}

/* Replay the share of the past that belongs to the first `done` samples of the hop. */
static void replay(ExactPlayer *p, int32_t done) {
    const int64_t whole = (int64_t)p->field + p->hop, start = p->now - p->done - p->field;
    const int64_t goal = start + (whole * done + p->hop - 1) / p->hop;
    while (p->replayed < goal) {
        const int64_t at = p->replayed & (p->ring - 1);
        int64_t count = goal - p->replayed < BLOCK ? goal - p->replayed : BLOCK;
        if (count > p->ring - at) count = p->ring - at;
        player_process_levels(p->voices[LATER], p->past + at, p->output, (int32_t)count, p->levels[LATER], 0);
        p->replayed += count;
    }
}

/* Fade from what is heard, in `y`: in a straight line, or in a parabola through what was heard before, too. */
static void fade(ExactPlayer *p, float *y, int32_t samples) {
    player_process_levels(p->voices[NEXT], p->input, p->output, samples, p->levels[NEXT], 0);
    if (p->curved) player_process_levels(p->voices[PASSED], p->input, p->passed, samples, p->levels[PASSED], 0);
    for (int32_t t = 0; t < samples; t++) {
        const float share = (float)(p->done + t + 1) / (float)p->hop, step = p->output[t] - y[t];
        const float bend = p->curved ? step - (y[t] - p->passed[t]) : 0;
        y[t] += step * share + bend * (share * (share - 1) / 2);
    }
}

/* Play one part of a block, which does not reach beyond the hop. */
static void play(ExactPlayer *p, const float *x, float *y, int32_t samples) {
    memcpy(p->input, x, 4 * (size_t)samples);
    remember(p, p->input, samples);
    player_process_levels(p->voices[HEARD], p->input, y, samples, p->levels[HEARD], 0);
    if (p->fading) fade(p, y, samples);
    if (p->replaying) replay(p, p->done + samples);
    p->done += samples;
    p->now += samples;
}

/* Between two moves, move in the other way where that is wanted. */
static void choose_moves(ExactPlayer *p, int32_t ramps) {
    if (ramps == p->ramps || p->fading || p->replaying || (p->ramps && player_is_moving(p->voices[HEARD]))) return;
    if (p->ramps) player_set_levels(p->voices[HEARD], p->levels[HEARD]);
    p->ramps = ramps;
}

/* Play at most BLOCK samples. */
static void ramp(ExactPlayer *p, const float *x, float *y, int32_t samples) {
    remember(p, x, samples);
    player_process(p->voices[HEARD], x, y, samples);
    p->now += samples;
}

static void crossfade(ExactPlayer *p, const float *x, float *y, int32_t samples, const float *levels) {
    for (int32_t done = 0, count; done < samples; done += count) {
        if (!(p->fading || p->replaying) || p->done == p->hop) begin_hop(p, levels);
        count = samples - done < BLOCK ? samples - done : BLOCK;
        if ((p->fading || p->replaying) && count > p->hop - p->done) count = p->hop - p->done;
        play(p, x + done, y + done, count);
    }
}

void exact_process_levels(ExactPlayer *p, const float *x, float *y, int32_t samples, const float *levels) {
    if (p->ramps) player_set_levels(p->voices[HEARD], p->levels[HEARD]);
    p->ramps = 0;
    crossfade(p, x, y, samples, levels);
}

void exact_process(ExactPlayer *p, const float *x, float *y, int32_t samples) {
    const int32_t ramps = atomic_load_explicit(&p->wants_ramps, memory_order_relaxed);
    float levels[AMP_MAX_COLUMNS];
    choose_moves(p, ramps);
    for (int32_t done = 0, count; done < samples; done += count) {
        count = samples - done < BLOCK ? samples - done : BLOCK;
        if (p->ramps) ramp(p, x + done, y + done, count);
        else {
            player_set_levels(p->voices[HEARD], levels);
            crossfade(p, x + done, y + done, count, levels);
        }
        choose_moves(p, ramps);
    }
}

void exact_set_moves(ExactPlayer *p, int32_t exact) {
    atomic_store_explicit(&p->wants_ramps, !exact, memory_order_relaxed);
}

double exact_move_cost(const Amp *amp, int32_t factor, double still) {
    return still * (4 + (double)field_of(amp, factor) / hop_of(amp, factor));
}
