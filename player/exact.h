/* Knobs that move exactly: what is heard is always made of still sounds.
 *
 * A network computes its past under the setting at which it was played, so a knob that moves is heard in what it leaves
 * behind. Here a second player replays the input of a receptive field under the new setting, spread evenly over the
 * blocks of a hop (20 ms). After that hop it is as if the knobs had always stood there, and over the next hop the sound
 * fades to it; meanwhile another player replays for where the knobs are by then. A move is a crossfade between two still
 * sounds. While knobs go on moving, the sound follows a parabola through three of them, the last one played on for a
 * hop: by how much it misses the sound of the settings between them is then of third order in the hop, no longer of
 * second. While knobs stand still this costs what a Player costs. While they move it costs that 4 + receptive field / hop
 * times, in equal parts: no block takes longer than others of its length. Use it where that fits (`exact_move_cost`);
 * elsewhere let it ramp, which is the glide of `player_process` and costs next to nothing.
 *
 * The functions are those of player.h, with the same rules: nothing here allocates, locks or calls the system.
 */
#ifndef AMPZOO_EXACT_H
#define AMPZOO_EXACT_H

#include "player.h"

typedef struct ExactPlayer ExactPlayer;

PLAYER_API size_t exact_size(const Amp *amp, int32_t factor);
PLAYER_API ExactPlayer *exact_init(void *memory, const Amp *amp, int32_t factor, const char *engine);
PLAYER_API const char *exact_engine(const ExactPlayer *player);
PLAYER_API void exact_set_knob(ExactPlayer *player, int32_t knob, double value);
PLAYER_API void exact_reset(ExactPlayer *player);
PLAYER_API void exact_process(ExactPlayer *player, const float *x, float *y, int32_t samples);

/* Choose how knobs move, from any thread: exactly, as they do at first, or by ramps. It holds for the moves that begin
 * when the knobs next stand still. */
PLAYER_API void exact_set_moves(ExactPlayer *player, int32_t exact);

/* The share of a core that exact moves take while knobs move, from the one that a Player takes while they stand. */
PLAYER_API double exact_move_cost(const Amp *amp, int32_t factor, double still);

/* The same two for a caller that has the levels, (columns, 1). Crossfades lead to them, whatever was chosen. */
PLAYER_API void exact_reset_levels(ExactPlayer *player, const float *levels);
PLAYER_API void exact_process_levels(ExactPlayer *player, const float *x, float *y, int32_t samples,
                                     const float *levels);

#endif
