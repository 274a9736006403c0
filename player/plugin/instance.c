/* One amp in a host. */
#include "instance.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resampler.h"

enum { TIMED_BLOCK = 32, TIMED_SAMPLES = 4 * TIMED_BLOCK, TIMINGS = 8 };   /* the fastest counts */

static const double BUDGET = 0.5;          /* of a core, for exact moves on all channels */
static const double LOWEST_HZ = 8000, HIGHEST_HZ = 768000;
static const float FAINT = 1e-15f;         /* inputs below it count as 0, as in the player */

typedef struct {
    void *memory;                          /* what malloc gave */
    ExactPlayer *player;
    Resampler resampler;                   /* where the instance resamples */
} Channel;

struct Instance {
    unsigned char *bytes;
    Amp amp;
    Parameters parameters;
    _Atomic double values[PARAMETERS_MOST];
    double rate_hz;
    int32_t factor;                        /* the player's rate divided by that of the amp */
    int32_t resamples;
    Ratio ratio;
    int32_t channels;                      /* 0 where there are no players */
    Channel channel[INSTANCE_CHANNELS];
    float block[RESAMPLER_BLOCK];
    float *inner;                          /* a block at the player's rate */
};

Instance *instance_new(unsigned char *bytes, size_t size) {
    Instance *in = calloc(1, sizeof *in);
    if (!in || amp_read(&in->amp, bytes, size) != AMP_OK) {
        free(bytes);
        free(in);
        return NULL;
    }
    in->bytes = bytes;
    parameters_read(&in->parameters, &in->amp);
    for (int32_t i = 0; i < in->parameters.count; i++) atomic_init(in->values + i, in->parameters.knobs[i].rest);
    instance_set_rate(in, in->amp.head.sample_rate);
    return in;
}

void instance_free(Instance *in) {
    instance_stop(in);
    free(in->bytes);
    free(in);
}

const Parameters *instance_parameters(const Instance *in) { return &in->parameters; }

double instance_rate(const Instance *in) { return in->rate_hz; }

/* A whole multiple is played by dilations, without a delay. Any other rate is resampled to the nearest multiple. */
int instance_set_rate(Instance *in, double rate_hz) {
    if (!(rate_hz >= LOWEST_HZ && rate_hz <= HIGHEST_HZ)) return 0;
    const double multiple = rate_hz / in->amp.head.sample_rate;
    int32_t factor = multiple < 1 ? 1 : multiple > PLAYER_MAX_FACTOR ? PLAYER_MAX_FACTOR : (int32_t)(multiple + 0.5);
    while (factor > 1 && !exact_size(&in->amp, factor)) factor--;
    in->rate_hz = rate_hz;
    in->factor = factor;
    in->resamples = fabs(multiple / factor - 1) > 1e-9;
    in->ratio = in->resamples ? ratio_near(factor / multiple) : (Ratio){1, 1};
    return 1;
}

int32_t instance_latency(const Instance *in) { return in->resamples ? resampler_latency(in->ratio) : 0; }

int32_t instance_tail(const Instance *in) {
    const double seconds = (double)in->amp.head.receptive_field / in->amp.head.sample_rate;
    return (int32_t)ceil(seconds * in->rate_hz) + 2 * instance_latency(in);
}

static int start_channel(Instance *in, Channel *c) {
    const size_t size = exact_size(&in->amp, in->factor);
    c->memory = size ? malloc(size + PLAYER_ALIGNMENT) : NULL;
    if (!c->memory) return 0;
    const uintptr_t at = ((uintptr_t)c->memory + PLAYER_ALIGNMENT - 1) / PLAYER_ALIGNMENT * PLAYER_ALIGNMENT;
    c->player = exact_init((void *)at, &in->amp, in->factor, NULL);
    return c->player && (!in->resamples || resampler_init(&c->resampler, in->ratio));
}

static double now_seconds(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Return the share of a core that a player takes while knobs stand still, in blocks of TIMED_BLOCK samples. */
static double still_share(Instance *in, ExactPlayer *player) {
    const double rate_hz = (double)in->amp.head.sample_rate * in->factor;
    double least = HUGE_VAL;
    for (int n = 0; n < TIMINGS; n++) {
        float x[TIMED_BLOCK];
        const double begin = now_seconds();
        for (int32_t done = 0; done < TIMED_SAMPLES; done += TIMED_BLOCK) {
            for (int32_t t = 0; t < TIMED_BLOCK; t++) x[t] = 0.01f * (float)t;
            exact_process(player, x, x, TIMED_BLOCK);
        }
        const double spent = now_seconds() - begin;
        if (spent < least && spent >= 0) least = spent;
    }
    return least * rate_hz / TIMED_SAMPLES;
}

/* Find out whether exact moves fit; it is the same for all channels. */
static void choose_moves(Instance *in) {
    const double cost = exact_move_cost(&in->amp, in->factor, still_share(in, in->channel[0].player));
    in->parameters.always_ramps = !(cost * in->channels <= BUDGET);
}

int instance_start(Instance *in, int32_t channels) {
    instance_stop(in);
    in->channels = channels;
    int made = channels >= 1 && channels <= INSTANCE_CHANNELS;
    for (int32_t c = 0; c < channels && made; c++) made = start_channel(in, in->channel + c);
    if (made && in->resamples)
        made = (in->inner = malloc(sizeof(float) * (size_t)in->channel[0].resampler.inner)) != NULL;
    if (!made) {
        instance_stop(in);
        return 0;
    }
    choose_moves(in);
    instance_reset(in);
    return 1;
}

void instance_stop(Instance *in) {
    for (int32_t c = 0; c < INSTANCE_CHANNELS; c++) {
        resampler_free(&in->channel[c].resampler);
        free(in->channel[c].memory);
        in->channel[c] = (Channel){0};
    }
    free(in->inner);
    in->inner = NULL;
    in->channels = 0;
}

void instance_set(Instance *in, int32_t index, double value) {
    if (index < 0 || index >= in->parameters.count || value != value) return;
    value = parameters_legal(&in->parameters, index, value);
    atomic_store_explicit(in->values + index, value, memory_order_relaxed);
}

double instance_get(const Instance *in, int32_t index) {
    return atomic_load_explicit(in->values + index, memory_order_relaxed);
}

static void turn_knobs(Instance *in) {
    const int32_t moves = in->parameters.count - 1;      /* the last parameter is no knob */
    const int32_t exact = !in->parameters.always_ramps && instance_get(in, moves) == EXACT;
    for (int32_t c = 0; c < in->channels; c++) {
        for (int32_t i = 0; i < moves; i++) exact_set_knob(in->channel[c].player, i, instance_get(in, i));
        exact_set_moves(in->channel[c].player, exact);
    }
}

void instance_reset(Instance *in) {
    turn_knobs(in);
    for (int32_t c = 0; c < in->channels; c++) {
        exact_reset(in->channel[c].player);
        if (!in->resamples) continue;
        float silence = 0;                 /* the sound of silence need not be 0 */
        exact_process(in->channel[c].player, &silence, &silence, 1);
        resampler_reset(&in->channel[c].resampler, silence);
    }
}

/* Play at most RESAMPLER_BLOCK samples that stand in `block`. */
static void play_block(Instance *in, Channel *c, int32_t samples) {
    if (!in->resamples) {
        exact_process(c->player, in->block, in->block, samples);
        return;
    }
    const int32_t count = resampler_enter(&c->resampler, in->block, samples, in->inner);
    exact_process(c->player, in->inner, in->inner, count);
    resampler_leave(&c->resampler, in->inner, count, in->block, samples);
}

/* Copy a block; what is no number, too faint or too large to be meant counts as 0. */
static void take_input(float *block, const float *x, int32_t samples) {
    for (int32_t t = 0; t < samples; t++) {
        const float size = x ? fabsf(x[t]) : 0;
        block[t] = size >= FAINT && size <= 1e6f ? x[t] : 0;
    }
}

void instance_process(Instance *in, const float *const *x, float *const *y, int32_t samples) {
    turn_knobs(in);
    float other[RESAMPLER_BLOCK];          /* the second input: the first output may be written over it */
    for (int32_t done = 0, count; done < samples; done += count) {
        count = samples - done < RESAMPLER_BLOCK ? samples - done : RESAMPLER_BLOCK;
        if (in->channels > 1) take_input(other, x[1] ? x[1] + done : NULL, count);
        for (int32_t c = 0; c < in->channels; c++) {
            if (c) memcpy(in->block, other, sizeof(float) * (size_t)count);
            else take_input(in->block, x[0] ? x[0] + done : NULL, count);
            play_block(in, in->channel + c, count);
            if (y[c]) memcpy(y[c] + done, in->block, sizeof(float) * (size_t)count);
        }
    }
}

static void read_values(const Instance *in, double *values) {
    for (int32_t i = 0; i < in->parameters.count; i++) values[i] = instance_get(in, i);
}

size_t instance_save(const Instance *in, unsigned char bytes[STATE_MOST]) {
    double values[PARAMETERS_MOST];
    read_values(in, values);
    return parameters_save(&in->parameters, values, bytes);
}

int instance_load(Instance *in, const unsigned char *bytes, size_t size) {
    double values[PARAMETERS_MOST];
    read_values(in, values);
    if (!parameters_load(&in->parameters, bytes, size, values)) return 0;
    for (int32_t i = 0; i < in->parameters.count; i++) instance_set(in, i, values[i]);
    return 1;
}
