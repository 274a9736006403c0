/* Plays an amp, block by block. This is all that a plugin, a page or ctypes needs, with amp.h.
 *
 *     Amp amp;
 *     if (amp_read(&amp, bytes, size) != AMP_OK) ...
 *     Player *player = player_init(memory, &amp, 1, NULL);      // memory of player_size(&amp, 1) bytes, aligned to 64
 *     player_set_knob(player, 0, 7.5);                          // from any thread
 *     player_process(player, x, y, samples);                    // in the audio thread
 *
 * Nothing here allocates, locks or calls the system. A player belongs to one thread, but for `player_set_knob`. The
 * bytes of the file are not needed after `player_init`.
 */
#ifndef AMPZOO_PLAYER_H
#define AMPZOO_PLAYER_H

#include "amp.h"

#if defined(PLAYER_PRIVATE)                /* part of a larger library, whose hosts see other names */
#define PLAYER_API
#elif defined(_WIN32)
#define PLAYER_API __declspec(dllexport)
#else
#define PLAYER_API __attribute__((visibility("default")))
#endif

enum {
    PLAYER_ALIGNMENT = 64,
    PLAYER_CONTROL = 64,       /* samples between two points of a moving knob; in between it moves in a straight line */
    PLAYER_MAX_FACTOR = 8,
};

typedef struct Player Player;

/* Bytes of memory for a player, 0 where it would be too large. The host's rate is `factor` times that of the amp. */
PLAYER_API size_t player_size(const Amp *amp, int32_t factor);

/* Make a player, knobs at rest, as if silence had always been playing. `memory` is aligned to PLAYER_ALIGNMENT;
 * `engine` is the name of an instruction set, or NULL for the best. Returns NULL where there is none of that name. */
PLAYER_API Player *player_init(void *memory, const Amp *amp, int32_t factor, const char *engine);

/* The name of the instruction set that is used. */
PLAYER_API const char *player_engine(const Player *player);

/* How many samples so far were not finite, and were played as silence: of a net that is damaged or hostile. */
PLAYER_API int64_t player_silenced(const Player *player);

/* Turn a knob to a faceplate value, or a switch to the position of that index. Unknown knobs and NaN change nothing. */
PLAYER_API void player_set_knob(Player *player, int32_t knob, double value);

/* Whether the knobs are not yet where they were set. */
PLAYER_API int32_t player_is_moving(Player *player);

/* Forget what was played, as if silence had always been playing, with the knobs where they were set. */
PLAYER_API void player_reset(Player *player);

/* Play any number of samples (0 too); x and y may be the same. Knobs glide to where they were set: from one end to
 * the other in 30 ms at the fastest. Every sample of y is finite, whatever x is. */
PLAYER_API void player_process(Player *player, const float *x, float *y, int32_t samples);

/* The same two for a caller that has the levels: what the network takes of the knobs, row after row, (columns, 1) where
 * they stand still or (columns, samples) where they move. Nothing glides. `moving` tells which. */
PLAYER_API void player_reset_levels(Player *player, const float *levels);
PLAYER_API void player_process_levels(Player *player, const float *x, float *y, int32_t samples, const float *levels,
                                      int32_t moving);

/* What the network takes of the knobs as they are set; `levels` has room for AMP_MAX_COLUMNS. */
PLAYER_API void player_set_levels(Player *player, float *levels);

/* What the network takes of faceplate values, one per knob. Returns how many numbers (the columns of the header). */
PLAYER_API int32_t player_encode(const Player *player, const double *values, float *levels);

/* For callers that know no C structures: the bytes of an Amp, and a checked one in such memory (see amp_read). */
PLAYER_API size_t player_amp_size(void);
PLAYER_API enum AmpError player_amp_read(Amp *amp, const void *bytes, size_t size);
PLAYER_API const char *player_error_text(enum AmpError error);

#endif
