/* One amp in a host: what the plugin formats share. A player per channel, at any sample rate of the host. Knobs move
 * exactly where the last parameter says so and half a core suffices for it, as measured when the players are made.
 *
 * `instance_start` and `instance_stop` belong to the thread that makes the instance, while no sound is asked for;
 * `instance_process` and `instance_reset` belong to the audio thread, allocate nothing and lock nothing. Values may be
 * set and read from any thread.
 */
#ifndef AMPZOO_INSTANCE_H
#define AMPZOO_INSTANCE_H

#include "../exact.h"
#include "parameters.h"

enum { INSTANCE_CHANNELS = 2 };

typedef struct Instance Instance;

/* Make an instance of an amp. It takes the bytes, which malloc gave, and frees them, also where it fails (NULL). */
Instance *instance_new(unsigned char *bytes, size_t size);
void instance_free(Instance *in);

const Parameters *instance_parameters(const Instance *in);

/* State the host's sample rate in Hz; returns whether the amp plays at it. */
int instance_set_rate(Instance *in, double rate_hz);
double instance_rate(const Instance *in);

/* Of the rate that was stated last, in samples of the host: the delay of the sound, and how long it can go on after the
 * input has ended. */
int32_t instance_latency(const Instance *in);
int32_t instance_tail(const Instance *in);

/* Make the players, after a rate was stated; returns whether there was memory. */
int instance_start(Instance *in, int32_t channels);
void instance_stop(Instance *in);

/* Turn a knob to a value, see parameters.h; what is no index of a knob changes nothing. */
void instance_set(Instance *in, int32_t index, double value);
double instance_get(const Instance *in, int32_t index);

/* Forget what was played, as if silence had always been playing. */
void instance_reset(Instance *in);

/* Play any number of samples of so many channels, as many as `instance_start` was told. Buffers may be the same; one
 * that is NULL is silent, or is not written. */
void instance_process(Instance *in, const float *const *x, float *const *y, int32_t samples);

/* Store the values of all knobs, and change those that a state names; see parameters.h. */
size_t instance_save(const Instance *in, unsigned char bytes[STATE_MOST]);
int instance_load(Instance *in, const unsigned char *bytes, size_t size);

#endif
