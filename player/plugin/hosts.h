/* What the random hosts share (hosts.c says what they are for). */
#ifndef AMPZOO_HOSTS_H
#define AMPZOO_HOSTS_H

#include <stdint.h>

#include "parameters.h"

uint32_t draw(uint32_t below);
double draw_number(void);                        /* most are from 0 to 1, some are odd */
double draw_rate(void);
int32_t draw_samples(void);
size_t draw_state(const unsigned char *saved, size_t size, unsigned char bytes[STATE_MOST]);

void fail(const char *what);                     /* ends the program */
void begin_playing(void);                        /* from here on memory may be neither taken nor freed */
void end_playing(void);

/* Input and output of a block; some share their memory. */
typedef struct { float *x[2], *y[2]; int32_t samples, in_place; } Sound;

void make_sound(Sound *s, int32_t samples, int32_t inputs, int32_t outputs);
void check_sound(Sound *s);                      /* all samples are finite; frees the buffers */

void vst3_sequence(void);
void lv2_sequence(void);

#endif
